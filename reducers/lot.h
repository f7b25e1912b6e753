/* SPDX-License-Identifier: MIT
 * A job's lot: the one small number by which the bytes of an id enter decisions. */
#ifndef SALVOR_REDUCERS_LOT_H
#define SALVOR_REDUCERS_LOT_H

#include "base/bytes.h"

#define LOT_COUNT 100

/* 0 to LOT_COUNT - 1, the same on every machine and in every version. Ids of one lot are decided
 * alike. */
uint64_t job_lot(struct span id);

#endif
