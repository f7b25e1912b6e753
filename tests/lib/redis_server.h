/* SPDX-License-Identifier: MIT
 * A private redis-server for a test: on a unix socket in a folder of its own, gone with the test.
 */
#ifndef SALVOR_TESTS_LIB_REDIS_SERVER_H
#define SALVOR_TESTS_LIB_REDIS_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

struct redis_server;

/* Starts a server and waits until it answers PING. `arguments`: more words for its command line,
 * closed by NULL, e.g. {"--appendonly", "yes", NULL}; may be NULL; copied. Without arguments it
 * keeps nothing on disk. Ends the process with a message when the server does not come up. The
 * caller owns the result. */
struct redis_server *redis_server_start(const char *const *arguments);
/* "unix:///…/redis.sock", borrowed. */
const char *redis_server_url(const struct redis_server *server);
/* The socket's path, borrowed. */
const char *redis_server_socket(const struct redis_server *server);
/* The server's folder, borrowed: a test may keep files of its own there. */
const char *redis_server_folder(const struct redis_server *server);
pid_t redis_server_pid(const struct redis_server *server);
/* kill -9, and waits for the end. */
void redis_server_kill(struct redis_server *server);
/* SIGTERM, and waits for the end. */
void redis_server_stop(struct redis_server *server);
/* Starts it again in the same folder after a kill or a stop. */
void redis_server_restart(struct redis_server *server);
/* Kills it when it runs, removes the folder, frees. Accepts NULL. */
void redis_server_remove(struct redis_server *server);

#endif
