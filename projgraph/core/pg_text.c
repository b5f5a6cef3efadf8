/* UTF-8 text to lower-cased code points in padded runs, and to token hashes; knows no feature family. */

#include <string.h>

#include "pg_internal.h"
#include "pg_unicode.h"

static const uint32_t REPLACEMENT = 0xFFFD;
static const uint32_t PAD = 0x20;

/* While a chunk has no more points and tokens than this, there is room for what one code point can add, two of each,
 * and for the end of the text behind it. */
enum { LAST_POINT = PG_CHUNK - 4 };

/* Continuation bytes that a lead byte asks for, and the range of the first of them (Unicode 14, table 3-7). */
static uint32_t sequence(uint8_t lead, uint8_t *low, uint8_t *high) {
    *low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    *high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    return lead < 0xC2 || lead > 0xF4 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
}

/* The code point at `at`, which is not ASCII; each maximal ill-formed subpart becomes one U+FFFD. */
static const uint8_t *decode(const uint8_t *at, const uint8_t *end, uint32_t *point) {
    uint8_t low, high;
    uint32_t more = sequence(*at, &low, &high);
    uint32_t value = *at++ & (0x3Fu >> more);
    uint32_t missing = more;
    while (missing > 0 && at < end && *at >= low && *at <= high) {
        value = value << 6 | (*at++ & 0x3Fu);
        low = 0x80, high = 0xBF;
        missing--;
    }
    *point = more == 0 || missing > 0 ? REPLACEMENT : value;
    return at;
}

static uint32_t far_class(uint32_t point) {
    uint32_t range = PG_FAR_RANGES - 1;
    while (point < pg_far_first[range])
        range--;
    return pg_far_class[range];
}

/* The class of a code point: its block, then its run there. A block's last run has length 0, so the walk stops. */
static uint32_t point_class(uint32_t point) {
    if (point >= PG_TABLE_END) return far_class(point);
    uint32_t block = point / PG_CLASS_BLOCK;
    uint32_t page = pg_class_top[block / PG_CLASS_PER_PAGE];
    const uint8_t *run = pg_class_runs + pg_class_pages[page * PG_CLASS_PER_PAGE + block % PG_CLASS_PER_PAGE];
    uint32_t left = point % PG_CLASS_BLOCK;
    for (uint32_t length = *run >> 3; length != 0 && left >= length; length = *run >> 3) {
        left -= length;
        run++;
    }
    return *run & 7u;
}

static uint32_t lower_case(uint32_t point) {
    if (point >= PG_TABLE_END) return point;
    uint32_t leaf = point / PG_LOWER_BLOCK;
    uint32_t page = pg_lower_top[leaf / PG_LOWER_PER_PAGE];
    uint32_t number = pg_lower_pages[page * PG_LOWER_PER_PAGE + leaf % PG_LOWER_PER_PAGE];
    uint32_t delta = pg_lower_leaves[number * PG_LOWER_BLOCK + point % PG_LOWER_BLOCK];
    return point + (uint32_t)pg_lower_deltas[delta]; /* modulo 2^32, so negative deltas subtract */
}

static void push_point(pg_reader *reader, pg_chunk *chunk, uint32_t point) {
    reader->reach = (uint8_t)(reader->reach + (reader->reach < PG_HISTORY));
    chunk->reach[chunk->point_count] = reader->reach;
    chunk->points[PG_HISTORY + chunk->point_count++] = point;
}

static void push_token(pg_chunk *chunk, uint64_t hash, uint8_t is_word) {
    chunk->is_word[chunk->token_count] = is_word;
    chunk->tokens[chunk->token_count++] = hash;
}

static uint64_t extend(uint64_t hash, uint32_t point) {
    hash = (hash ^ point) * PG_MULTIPLIER;
    return hash ^ hash >> 29;
}

static void end_word(pg_reader *reader, pg_chunk *chunk) {
    if (reader->in_word) push_token(chunk, reader->token, 1);
    reader->in_word = 0;
}

static void end_run(pg_reader *reader, pg_chunk *chunk) {
    if (reader->reach == 0) return;
    end_word(reader, chunk);
    push_point(reader, chunk, PAD);
    reader->reach = 0;
}

/* One code point that is not IGNORED: at most two points and two tokens. */
static void accept(pg_reader *reader, pg_chunk *chunk, uint32_t point, uint32_t kind) {
    if (kind == PG_CLASS_SPACE) {
        end_run(reader, chunk);
    } else if (kind == PG_CLASS_SYMBOL) {
        end_run(reader, chunk);
        push_token(chunk, extend(PG_TOKEN_START, point), 0);
    } else {
        if (reader->reach == 0) push_point(reader, chunk, PAD);
        push_point(reader, chunk, point);
        if (kind == PG_CLASS_UNSPACED) {
            end_word(reader, chunk);
            push_token(chunk, extend(PG_TOKEN_START, point), 1);
        } else {
            reader->token = extend(reader->in_word ? reader->token : PG_TOKEN_START, point);
            reader->in_word = 1;
        }
    }
}

void pg_reader_start(pg_reader *reader, pg_chunk *chunk, const char *text, size_t length) {
    memset(reader, 0, sizeof *reader);
    reader->at = (const uint8_t *)text;
    reader->end = reader->at + length;
    memset(chunk->points, 0, sizeof chunk->points);
    chunk->point_count = chunk->token_count = 0;
}

/* Words of ASCII letters and digits with single spaces between them, nearly all of most texts: what accept does, in
 * registers, while there is room. The reader stands on the first byte of a word or inside one. */
static void accept_words(pg_reader *reader, pg_chunk *chunk) {
    const uint8_t *at = reader->at, *end = reader->end;
    uint32_t *points = chunk->points + PG_HISTORY;
    uint32_t count = chunk->point_count, tokens = chunk->token_count, reach = reader->reach;
    uint64_t token = reader->in_word ? reader->token : PG_TOKEN_START;
    for (;;) {
        if (reach == 0) {
            points[count] = PAD;
            chunk->reach[count++] = (uint8_t)++reach;
        }
        for (uint32_t point; at < end && count <= LAST_POINT && (point = pg_word_byte[*at]) != 0; at++) {
            reach += reach < PG_HISTORY;
            points[count] = point;
            chunk->reach[count++] = (uint8_t)reach;
            token = extend(token, point);
        }
        if (count >= LAST_POINT || tokens >= LAST_POINT || end - at < 2 || *at != ' ' || pg_word_byte[at[1]] == 0)
            break;
        points[count] = PAD;
        chunk->reach[count++] = (uint8_t)(reach + (reach < PG_HISTORY));
        chunk->is_word[tokens] = 1;
        chunk->tokens[tokens++] = token;
        token = PG_TOKEN_START;
        reach = 0;
        at++;
    }
    reader->at = at;
    reader->token = token;
    reader->in_word = 1;
    reader->reach = (uint8_t)reach;
    chunk->point_count = count;
    chunk->token_count = tokens;
}

int pg_reader_next(pg_reader *reader, pg_chunk *chunk) {
    memmove(chunk->points, chunk->points + chunk->point_count, PG_HISTORY * sizeof *chunk->points);
    chunk->point_count = chunk->token_count = 0;
    if (reader->finished) return 0;
    while (reader->at < reader->end && chunk->point_count < LAST_POINT && chunk->token_count < LAST_POINT) {
        uint32_t point = *reader->at;
        if (pg_word_byte[point] != 0) {
            accept_words(reader, chunk);
        } else if (point < 0x80) {
            reader->at++;
            if (pg_ascii_class[point] != PG_CLASS_IGNORED) accept(reader, chunk, point, pg_ascii_class[point]);
        } else {
            reader->at = decode(reader->at, reader->end, &point);
            uint32_t kind = point_class(point);
            if (kind != PG_CLASS_IGNORED) accept(reader, chunk, lower_case(point), kind);
        }
    }
    if (reader->at == reader->end) {
        end_run(reader, chunk);
        reader->finished = 1;
    }
    return 1;
}
