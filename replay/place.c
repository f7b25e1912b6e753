/* SPDX-License-Identifier: MIT */
#include "replay/place.h"

#include "base/check.h"

static int compare_numbers(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

int place_compare(const struct place *place, struct stream_id id, uint64_t ordinal)
{
    CHECK(place->kind != PLACE_NONE);
    switch (place->kind) {
    case PLACE_TIME:
        return compare_numbers(id.ms, place->time_ms);
    case PLACE_ID:
        return stream_id_compare(id, place->id);
    default:
        return compare_numbers(ordinal, place->ordinal);
    }
}
