/* SPDX-License-Identifier: MIT */
#include "reducers/lot.h"

#include "base/hash.h"

uint64_t job_lot(struct span id)
{
    return hash_bytes(id) % LOT_COUNT;
}
