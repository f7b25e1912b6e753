/* SPDX-License-Identifier: MIT
 * What the measurements stand on: one private Redis, and one child process at a time. Whatever way
 * the process ends, nothing of it stays; what goes wrong ends it with a message and exit code 1. */
#ifndef SALVOR_TESTS_LIB_BENCH_PLACE_H
#define SALVOR_TESTS_LIB_BENCH_PLACE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>

#define BENCH_PATH_SIZE 256

void bench_begin(void);
__attribute__((noreturn)) void bench_give_up(const char *what, const char *detail);
/* The whole number in the environment's variable `name`, else `initial`. */
uint64_t bench_number(const char *name, uint64_t initial, uint64_t max);
int bench_compare_numbers(const void *a, const void *b); /* uint64_t, for qsort */

/* Borrowed until the end of the process. */
const char *bench_redis_url(void);
const char *bench_redis_socket(void);
__attribute__((format(printf, 1, 2))) void bench_command(const char *format, ...);
/* Sends without waiting (hiredis formats, %b too); bench_replies waits for so many. */
void bench_send(const char *format, ...);
void bench_replies(size_t count);

/* `rest` behind the folder of the place, which goes with it. */
void bench_put_path(char out[BENCH_PATH_SIZE], const char *rest);
void bench_remove_folder(const char *path);

/* Starts the program words[0]; `*output` reads what it writes to that descriptor. */
void bench_start(const char *const *words, int output_number, FILE **output);
void bench_signal(int number); /* to the child */
uint64_t bench_peak_kb(void);  /* of the child's memory so far */
/* Closes `output`. Result: the child's exit status. */
int bench_wait_for_end(FILE *output, struct rusage *used);

#endif
