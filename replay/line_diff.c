/* SPDX-License-Identifier: MIT
 * The longest common subsequence of what lies between the common beginning and the common end. */
#include "replay/line_diff.h"

#include "base/alloc.h"
#include "base/check.h"

#define CELLS_MAX ((size_t)4 << 20) /* of the table; beyond it nothing in the middle is matched */

struct lines {
    struct span *lines; /* owned array */
    size_t count;
};

/* One line of the result. */
struct edit {
    char mark; /* ' ', '-' or '+' */
    struct span line;
};

struct edits {
    struct edit *edits; /* owned array */
    size_t count;
};

static struct lines lines_of(struct span text)
{
    struct lines result = {0};
    size_t count = 1;
    for (size_t i = 0; i < text.size; i++) {
        count += text.data[i] == '\n';
    }
    result.lines = mem_zero(count * sizeof(*result.lines));
    while (text.size > 0) {
        result.lines[result.count++] = span_cut(&text, '\n');
    }
    return result;
}

static void add(struct edits *edits, char mark, struct span line)
{
    edits->edits[edits->count++] = (struct edit){mark, line};
}

/* cells[i * (n + 1) + j]: how many lines the rests behind i and j have in common. */
static uint32_t *common_lengths(const struct span *a, size_t m, const struct span *b, size_t n)
{
    if (m > 0 && n > CELLS_MAX / m) {
        return NULL;
    }
    uint32_t *cells = mem_zero((m + 1) * (n + 1) * sizeof(*cells));
    for (size_t i = m; i-- > 0;) {
        for (size_t j = n; j-- > 0;) {
            uint32_t below = cells[(i + 1) * (n + 1) + j], right = cells[i * (n + 1) + j + 1];
            cells[i * (n + 1) + j] = span_equal(a[i], b[j]) ? cells[(i + 1) * (n + 1) + j + 1] + 1
                                     : below > right        ? below
                                                            : right;
        }
    }
    return cells;
}

static void put_middle(struct edits *edits, const struct span *a, size_t m, const struct span *b,
                       size_t n)
{
    uint32_t *cells = common_lengths(a, m, b, n);
    size_t i = 0, j = 0;
    while (cells != NULL && i < m && j < n) {
        if (span_equal(a[i], b[j])) {
            add(edits, ' ', a[i]);
            i++;
            j++;
        } else if (cells[(i + 1) * (n + 1) + j] >= cells[i * (n + 1) + j + 1]) {
            add(edits, '-', a[i++]);
        } else {
            add(edits, '+', b[j++]);
        }
    }
    while (i < m) {
        add(edits, '-', a[i++]);
    }
    while (j < n) {
        add(edits, '+', b[j++]);
    }
    mem_free(cells);
}

static struct edits edits_of(const struct lines *a, const struct lines *b)
{
    struct edits edits = {.edits = mem_zero((a->count + b->count + 1) * sizeof(struct edit))};
    size_t least = a->count < b->count ? a->count : b->count;
    size_t head = 0, tail = 0;
    while (head < least && span_equal(a->lines[head], b->lines[head])) {
        add(&edits, ' ', a->lines[head++]);
    }
    while (tail < least - head &&
           span_equal(a->lines[a->count - 1 - tail], b->lines[b->count - 1 - tail])) {
        tail++;
    }
    put_middle(&edits, a->lines + head, a->count - head - tail, b->lines + head,
               b->count - head - tail);
    for (size_t i = a->count - tail; i < a->count; i++) {
        add(&edits, ' ', a->lines[i]);
    }
    return edits;
}

/* The end of the hunk whose first change is at `from`: changes with no more than twice the context
 * of equal lines between them belong together. */
static size_t hunk_end(const struct edits *edits, size_t from)
{
    size_t end = from, equal = 0;
    for (size_t i = from; i < edits->count && equal <= 2 * LINE_DIFF_CONTEXT; i++) {
        equal = edits->edits[i].mark == ' ' ? equal + 1 : 0;
        end = equal == 0 ? i + 1 : end;
    }
    size_t rest = edits->count - end;
    return end + (rest < LINE_DIFF_CONTEXT ? rest : LINE_DIFF_CONTEXT);
}

static void put_range(struct buffer *out, char mark, size_t first, size_t count)
{
    buffer_put_byte(out, (uint8_t)mark);
    buffer_put_decimal(out, count == 0 ? first : first + 1);
    buffer_put_byte(out, ',');
    buffer_put_decimal(out, count);
}

/* `lines`: how many of each side stand before `begin`; moved behind `end`. */
static void put_hunk(struct buffer *out, const struct edits *edits, size_t begin, size_t end,
                     size_t lines[2])
{
    size_t removed = 0, added = 0;
    for (size_t i = begin; i < end; i++) {
        removed += edits->edits[i].mark != '+';
        added += edits->edits[i].mark != '-';
    }
    buffer_put_text(out, "@@ ");
    put_range(out, '-', lines[0], removed);
    buffer_put_byte(out, ' ');
    put_range(out, '+', lines[1], added);
    buffer_put_text(out, " @@\n");
    for (size_t i = begin; i < end; i++) {
        buffer_put_byte(out, (uint8_t)edits->edits[i].mark);
        buffer_put_span(out, edits->edits[i].line);
        buffer_put_byte(out, '\n');
    }
    lines[0] += removed;
    lines[1] += added;
}

static void put_hunks(struct buffer *out, const struct edits *edits)
{
    size_t lines[2] = {0, 0}; /* of each side before `at` */
    size_t at = 0;
    for (size_t change = 0; change < edits->count; change++) {
        if (edits->edits[change].mark == ' ') {
            continue;
        }
        size_t begin = change - at > LINE_DIFF_CONTEXT ? change - LINE_DIFF_CONTEXT : at;
        lines[0] += begin - at;
        lines[1] += begin - at;
        at = hunk_end(edits, change);
        put_hunk(out, edits, begin, at, lines);
        change = at - 1;
    }
}

void line_diff_put(struct buffer *out, struct span before, struct span after)
{
    struct lines a = lines_of(before), b = lines_of(after);
    struct edits edits = edits_of(&a, &b);
    CHECK(edits.count <= a.count + b.count);
    put_hunks(out, &edits);
    mem_free(edits.edits);
    mem_free(b.lines);
    mem_free(a.lines);
}
