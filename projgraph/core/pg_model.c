/* The model file's reader: checks every field once, so that nothing after it has to; copies nothing. */

#include <string.h>

#include "pg_internal.h"

/* CRC-32 of zlib, four bits at a time: 64 bytes of table instead of a kilobyte. */
static uint32_t crc32(const uint8_t *bytes, size_t length) {
    static const uint32_t table[16] = {
        0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u, 0x4DB26158u, 0x5005713Cu,
        0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu, 0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
    };
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

int pg_all_zero(const uint8_t *bytes, size_t length) {
    uint8_t any = 0;
    for (size_t i = 0; i < length; i++)
        any |= bytes[i];
    return any == 0;
}

static pg_status read_family(pg_family *family, const uint8_t *at, uint32_t bits) {
    family->kind = at[PG_FAMILY_AT_KIND];
    family->n_min = at[PG_FAMILY_AT_N_MIN];
    family->n_max = at[PG_FAMILY_AT_N_MAX];
    family->additions = at[PG_FAMILY_AT_ADDITIONS];
    family->first_bit = pg_u32(at + PG_FAMILY_AT_FIRST_BIT);
    family->bit_count = pg_u32(at + PG_FAMILY_AT_BIT_COUNT);
    if (pg_u32(at + PG_FAMILY_AT_RESERVED) != 0) return PG_BAD_RESERVED;
    if (family->kind != PG_FAMILY_WORD && family->kind != PG_FAMILY_CHARACTER) return PG_BAD_FAMILY;
    uint32_t longest = family->kind == PG_FAMILY_WORD ? PG_MAX_WORD_NGRAM : PG_MAX_CHARACTER_NGRAM;
    if (family->n_min == 0 || family->n_min > family->n_max || family->n_max > longest) return PG_BAD_FAMILY;
    if (family->additions == 0 || family->additions > PG_MAX_ADDITIONS) return PG_BAD_FAMILY;
    if (family->bit_count == 0 || family->bit_count % family->additions != 0) return PG_BAD_FAMILY;
    /* Compared so that no sum can wrap. */
    if (family->first_bit > bits || family->bit_count > bits - family->first_bit) return PG_BAD_FAMILY;
    return PG_OK;
}

static int overlap(const pg_family *a, const pg_family *b) {
    return a->first_bit < b->first_bit + b->bit_count && b->first_bit < a->first_bit + a->bit_count;
}

/* Whether four bytes are a positive normal float: sign clear, exponent neither 0 nor 255. */
static int read_scale(float *scale, const uint8_t *at) {
    uint32_t bits = pg_u32(at);
    memcpy(scale, &bits, sizeof bits);
    return bits >= 0x00800000u && bits < 0x7F800000u;
}

static pg_status read_families(pg_projection *projection, const uint8_t *at, size_t length) {
    if (projection->family_count == 0 || projection->family_count > PG_MAX_FAMILIES) return PG_BAD_PROJECTION;
    if (projection->seen_slots_log2 > PG_MAX_SEEN_SLOTS_LOG2) return PG_BAD_PROJECTION;
    if (length != projection->family_count * (size_t)PG_FAMILY_SIZE) return PG_BAD_PROJECTION;
    for (uint32_t f = 0; f < projection->family_count; f++) {
        pg_family *family = &projection->families[f];
        pg_status status = read_family(family, at + f * PG_FAMILY_SIZE, projection->bits);
        if (status != PG_OK) return status;
        for (uint32_t other = 0; other < f; other++)
            if (overlap(family, &projection->families[other])) return PG_FAMILY_OVERLAP;
    }
    return PG_OK;
}

/* The thresholds behind the fields may hold any integers: they are only compared with sums. */
static pg_status read_vector(pg_projection *projection, const uint8_t *at, size_t length) {
    if (projection->family_count != 0 || projection->seen_slots_log2 != 0) return PG_BAD_COLUMNS;
    if (length < PG_VECTOR_SIZE) return PG_BAD_PROJECTION;
    uint32_t has_thresholds = at[PG_VECTOR_AT_THRESHOLDS];
    projection->columns = pg_u32(at + PG_VECTOR_AT_COLUMNS);
    projection->additions = pg_u16(at + PG_VECTOR_AT_ADDITIONS);
    if (at[PG_VECTOR_AT_RESERVED_0] != 0 || pg_u32(at + PG_VECTOR_AT_RESERVED_1) != 0) return PG_BAD_RESERVED;
    if (projection->columns == 0 || projection->columns > PG_MAX_COLUMNS) return PG_BAD_COLUMNS;
    if (projection->additions == 0 || projection->additions > projection->bits) return PG_BAD_COLUMNS;
    if (!read_scale(&projection->scale, at + PG_VECTOR_AT_SCALE) || has_thresholds > 1) return PG_BAD_COLUMNS;
    if (length != PG_VECTOR_SIZE + has_thresholds * projection->bits * sizeof(int32_t)) return PG_BAD_PROJECTION;
    projection->thresholds = has_thresholds ? at + PG_VECTOR_SIZE : NULL;
    return PG_OK;
}

static pg_status read_projection(pg_projection *projection, const uint8_t *at, size_t length) {
    if (length < PG_PROJECTION_SIZE) return PG_BAD_PROJECTION;
    projection->section = at;
    projection->seed = pg_u64(at + PG_PROJECTION_AT_SEED);
    /* Two 16-bit factors: the product fits 32 bits. */
    projection->bits = pg_u16(at + PG_PROJECTION_AT_FUNCTIONS) * pg_u16(at + PG_PROJECTION_AT_FUNCTION_BITS);
    projection->quantiser = at[PG_PROJECTION_AT_QUANTISER];
    projection->family_count = at[PG_PROJECTION_AT_FAMILIES];
    projection->seen_slots_log2 = at[PG_PROJECTION_AT_SEEN_SLOTS_LOG2];
    projection->input = at[PG_PROJECTION_AT_INPUT];
    if (projection->input != PG_INPUT_TEXT && projection->input != PG_INPUT_VECTOR) return PG_UNKNOWN_INPUT;
    if (projection->bits == 0 || projection->bits > PG_MAX_BITS) return PG_BAD_PROJECTION;
    if (projection->quantiser != PG_QUANTISER_SIGN && projection->quantiser != PG_QUANTISER_TERNARY)
        return PG_BAD_PROJECTION;
    at += PG_PROJECTION_SIZE;
    length -= PG_PROJECTION_SIZE;
    return projection->input == PG_INPUT_TEXT ? read_families(projection, at, length)
                                              : read_vector(projection, at, length);
}

pg_status pg_open_projection(pg_projection *projection, const void *bytes, size_t length) {
    if (!projection || !bytes) return PG_BAD_ARGUMENT;
    memset(projection, 0, sizeof *projection);
    return read_projection(projection, bytes, length);
}

pg_status pg_read_header(const uint8_t *bytes, size_t length, uint32_t magic, uint32_t most, uint32_t *sections) {
    if (length < PG_HEADER_SIZE) return PG_TRUNCATED;
    if (pg_u32(bytes + PG_HEADER_AT_MAGIC) != magic) return PG_BAD_MAGIC;
    if (pg_u16(bytes + PG_HEADER_AT_MAJOR) != PG_MAJOR) return PG_BAD_VERSION;
    uint32_t stated = pg_u32(bytes + PG_HEADER_AT_LENGTH);
    if (stated > PG_MAX_LENGTH) return PG_BAD_LENGTH;
    if (stated > length) return PG_TRUNCATED;
    if (stated != length) return PG_BAD_LENGTH;
    if (pg_u32(bytes + PG_HEADER_AT_CHECKSUM) != crc32(bytes + PG_CHECKED_FROM, length - PG_CHECKED_FROM))
        return PG_BAD_CHECKSUM;
    if (!pg_all_zero(bytes + PG_HEADER_AT_RESERVED_0, PG_HEADER_SIZE - PG_HEADER_AT_RESERVED_0)) return PG_BAD_RESERVED;
    *sections = pg_u32(bytes + PG_HEADER_AT_SECTIONS);
    if (*sections == 0 || *sections > most) return PG_BAD_SECTION_COUNT;
    if (*sections * PG_SECTION_SIZE > length - PG_HEADER_SIZE) return PG_BAD_SECTION_COUNT;
    return PG_OK;
}

static int seen_before(const uint8_t *table, uint32_t entry, uint32_t kind) {
    for (uint32_t other = 0; other < entry; other++)
        if (pg_u32(table + other * PG_SECTION_SIZE + PG_SECTION_AT_KIND) == kind) return 1;
    return 0;
}

pg_status pg_read_row(const uint8_t *bytes, size_t length, const uint8_t *row, size_t *end, pg_section *found) {
    uint32_t offset = pg_u32(row + PG_SECTION_AT_OFFSET);
    found->length = pg_u32(row + PG_SECTION_AT_LENGTH);
    if (offset % PG_ALIGNMENT != 0) return PG_BAD_SECTION_ALIGNMENT;
    if (offset > length || found->length > length - offset) return PG_BAD_SECTION_BOUNDS;
    if (offset < *end) return PG_BAD_SECTION_ORDER;
    if (!pg_all_zero(bytes + *end, offset - *end)) return PG_BAD_RESERVED;
    *end = (size_t)offset + found->length;
    found->at = bytes + offset;
    return PG_OK;
}

/* The section table: ascending, disjoint, aligned, inside the file, and nothing but zeros between. */
static pg_status read_table(const uint8_t *bytes, size_t length, uint32_t count, pg_section *sections,
                            pg_section *provenance) {
    const uint8_t *table = bytes + PG_HEADER_SIZE;
    size_t end = PG_HEADER_SIZE + count * (size_t)PG_SECTION_SIZE;
    for (uint32_t entry = 0; entry < count; entry++) {
        const uint8_t *at = table + entry * PG_SECTION_SIZE;
        uint32_t kind = pg_u32(at + PG_SECTION_AT_KIND);
        pg_section found;
        if (pg_u32(at + PG_SECTION_AT_RESERVED) != 0) return PG_BAD_RESERVED;
        if (kind == 0 || (kind >= PG_SECTION_KINDS && kind < PG_SECTION_OPTIONAL)) return PG_BAD_SECTION_KIND;
        pg_status status = pg_read_row(bytes, length, at, &end, &found);
        if (status != PG_OK) return status;
        if (seen_before(table, entry, kind)) return PG_BAD_SECTION_ORDER;
        if (kind < PG_SECTION_KINDS) sections[kind] = found;
        if (kind == PG_SECTION_PROVENANCE) *provenance = found;
    }
    return pg_all_zero(bytes + end, length - end) ? PG_OK : PG_BAD_RESERVED;
}

/* Whether a head may name such weights: 8, 4, 2 or 1 bits; of 4 with a codebook; any but 1 sparse. */
static int weight_format(uint32_t format) {
    uint32_t bits = format & PG_WEIGHTS_BITS, flags = format - bits;
    if (flags > (PG_WEIGHTS_SHARED | PG_WEIGHTS_SPARSE)) return 0;
    return bits == 4 || (!(flags & PG_WEIGHTS_SHARED) && (bits == 8 || bits == 2 || format == 1));
}

static pg_status read_head(pg_model *model, pg_section head) {
    if (head.length != PG_HEAD_SIZE) return PG_BAD_HEAD;
    uint32_t kind = head.at[PG_HEAD_AT_KIND], units = pg_u16(head.at + PG_HEAD_AT_UNITS);
    model->classes = pg_u16(head.at + PG_HEAD_AT_CLASSES);
    model->hidden_shift = head.at[PG_HEAD_AT_HIDDEN_SHIFT];
    model->threshold = pg_i32(head.at + PG_HEAD_AT_THRESHOLD);
    model->output.weight_bits = head.at[PG_HEAD_AT_WEIGHT_BITS];
    model->hidden.weight_bits = head.at[PG_HEAD_AT_HIDDEN_WEIGHT_BITS];
    if (kind != PG_HEAD_LINEAR && kind != PG_HEAD_HIDDEN) return PG_BAD_HEAD;
    if (model->classes == 0 || model->classes > PG_MAX_CLASSES) return PG_BAD_HEAD;
    if (!weight_format(model->output.weight_bits)) return PG_BAD_HEAD;
    if (kind == PG_HEAD_LINEAR && (units != 0 || model->hidden.weight_bits != 0 || model->hidden_shift != 0))
        return PG_BAD_HEAD;
    if (kind == PG_HEAD_HIDDEN && (units == 0 || units > PG_MAX_UNITS || !weight_format(model->hidden.weight_bits) ||
                                   model->hidden_shift > PG_MAX_SHIFT))
        return PG_BAD_HEAD;
    if (!read_scale(&model->scale, head.at + PG_HEAD_AT_SCALE)) return PG_BAD_HEAD;
    if (!PG_PACKED_WEIGHTS && ((model->output.weight_bits | model->hidden.weight_bits) & ~12u)) return PG_LEFT_OUT;
    model->hidden.outputs = units;
    model->output.outputs = model->classes;
    return PG_OK;
}

static pg_status read_words(pg_model *model, pg_section words) {
    if (model->projection.input != PG_INPUT_TEXT) return PG_UNEXPECTED_SECTION;
    if (words.length < PG_WORDS_SIZE) return PG_BAD_WORDS;
    uint32_t count = pg_u32(words.at + PG_WORDS_AT_COUNT), dimensions = pg_u16(words.at + PG_WORDS_AT_DIMENSIONS);
    if (words.at[PG_WORDS_AT_RESERVED] != 0) return PG_BAD_RESERVED;
    model->norm_shift = words.at[PG_WORDS_AT_NORM_SHIFT];
    if (count == 0 || count > PG_MAX_VOCABULARY || model->norm_shift > PG_MAX_NORM_SHIFT) return PG_BAD_WORDS;
    if (dimensions < PG_MIN_DIMENSIONS || dimensions > PG_MAX_DIMENSIONS || dimensions % 8 != 0) return PG_BAD_WORDS;
    if (words.length != PG_WORDS_SIZE + count * (sizeof(uint32_t) + dimensions / 8)) return PG_BAD_WORDS;
    model->words = words.at + PG_WORDS_SIZE;
    model->word_count = count;
    model->dimensions = dimensions;
    for (uint32_t i = 1; i < count; i++)
        if (pg_u32(model->words + sizeof count * i) >> 2 <= pg_u32(model->words + sizeof count * (i - 1)) >> 2)
            return PG_WORD_ORDER;
    return PG_OK;
}

static pg_status read_convolution(pg_model *model, pg_section convolution) {
    if (!model->words) return PG_UNEXPECTED_SECTION;
    if (convolution.length != PG_CONVOLUTION_SIZE) return PG_BAD_CONVOLUTION;
    if (pg_u32(convolution.at + PG_CONVOLUTION_AT_RESERVED) != 0) return PG_BAD_RESERVED;
    pg_layer *layer = &model->convolution;
    layer->outputs = pg_u16(convolution.at + PG_CONVOLUTION_AT_FILTERS);
    layer->weight_bits = 8;
    model->width = convolution.at[PG_CONVOLUTION_AT_WIDTH];
    model->convolution_shift = convolution.at[PG_CONVOLUTION_AT_SHIFT];
    layer->inputs = model->width * model->dimensions;
    if (layer->outputs == 0 || layer->outputs > PG_MAX_FILTERS) return PG_BAD_CONVOLUTION;
    if (model->width == 0 || model->width > PG_MAX_WIDTH) return PG_BAD_CONVOLUTION;
    return model->convolution_shift > PG_MAX_SHIFT ? PG_BAD_CONVOLUTION : PG_OK;
}

/* What each layer takes; 127 is the most that an input can be that is no bit. Of an output layer of four bits or fewer
 * weights are at most 8 in size, and the sums of any inputs fit. */
static pg_status count_inputs(pg_model *model) {
    uint32_t bits = model->projection.bits, units = model->hidden.outputs, filters = model->convolution.outputs;
    uint32_t first = bits + model->dimensions, first_sum = bits + 127 * model->dimensions;
    uint32_t last_sum = units > 0 ? 127 * (units + filters) : first_sum + 127 * filters;
    model->hidden.inputs = units > 0 ? first : 0;
    model->output.inputs = (units > 0 ? units : first) + filters;
    if (!(model->output.weight_bits & (8 | PG_WEIGHTS_SHARED))) last_sum = 0;
    return first_sum > PG_MAX_INPUT_SUM || last_sum > PG_MAX_INPUT_SUM ? PG_TOO_MANY_INPUTS : PG_OK;
}

/* Whether what stands behind the last output of every row, in the row's last byte, is zero, and no ternary weight is
 * +1 and -1 at once. */
static pg_status check_rows(const pg_layer *layer) {
    int bits = PG_PACKED_WEIGHTS && (layer->starts || layer->weight_bits < 4);
    uint32_t row = pg_row_bytes(layer), half = pg_bit_bytes(layer);
    uint32_t unused = bits ? 8 * half - layer->outputs : layer->weight_bits == 4 ? 4 * (layer->outputs % 2) : 0;
    uint8_t any = 0, both = 0;
    for (uint32_t i = 0; i < layer->inputs; i++) {
        const uint8_t *at = layer->weights + i * row;
        any |= at[row - 1];
        if (!bits || row == half) continue;
        any |= at[half - 1];
        for (uint32_t byte = 0; byte < half; byte++)
            both |= at[byte] & at[half + byte];
    }
    if ((uint32_t)any << unused >> 8 != 0) return PG_BAD_ROW_PADDING;
    return both ? PG_BAD_WEIGHTS : PG_OK;
}

/* Whether a sparse layer has as many values as its rows have bits, and every block starts where it says. There are at
 * most 4,096 x 16,640 values: their bits fit 32 bits. */
static pg_status check_sparse(const pg_layer *layer, uint32_t length) {
    uint32_t row = pg_row_bytes(layer), values = 0;
    for (uint32_t i = 0; i < layer->inputs; i++) {
        if (i % PG_SPARSE_BLOCK == 0 && pg_u32(layer->starts + sizeof values * (i / PG_SPARSE_BLOCK)) != values)
            return PG_BAD_WEIGHTS;
        for (uint32_t byte = 0; byte < row; byte++)
            values += pg_bit_count(layer->weights[i * row + byte]);
    }
    uint32_t bits = values * (layer->weight_bits == 2 ? 1 : layer->weight_bits);
    if (length != (bits + 7) / 8) return PG_BAD_WEIGHTS;
    return bits % 8 != 0 && layer->values[length - 1] >> bits % 8 != 0 ? PG_BAD_ROW_PADDING : PG_OK;
}

/* The parts of the weights, none of which is read before it is known to be there. */
static pg_status read_weights(pg_layer *layer, pg_section weights) {
    uint32_t format = layer->weight_bits, left = weights.length;
    uint32_t codebook = PG_PACKED_WEIGHTS && format & PG_WEIGHTS_SHARED ? PG_CODEBOOK_SIZE : 0;
    uint32_t blocks = (layer->inputs + PG_SPARSE_BLOCK - 1) / PG_SPARSE_BLOCK;
    uint32_t starts = PG_PACKED_WEIGHTS && format & PG_WEIGHTS_SPARSE ? blocks * (uint32_t)sizeof blocks : 0;
    layer->weight_bits = format & PG_WEIGHTS_BITS;
    layer->codebook = codebook > 0 ? weights.at : NULL;
    layer->starts = starts > 0 ? weights.at + codebook : NULL;
    layer->weights = weights.at + codebook + starts;
    uint32_t rows = pg_row_bytes(layer) * layer->inputs; /* at most 4,096 x 16,640: fits 32 bits */
    uint32_t fixed = codebook + starts + rows + PG_ROW_PADDING;
    if (left < fixed) return PG_BAD_WEIGHTS;
    left -= fixed;
    layer->values = starts > 0 ? layer->weights + rows : NULL;
    pg_status status = starts > 0 ? check_sparse(layer, left) : left > 0 ? PG_BAD_WEIGHTS : PG_OK;
    if (status != PG_OK) return status;
    return pg_all_zero(layer->weights + rows + left, PG_ROW_PADDING) ? check_rows(layer) : PG_BAD_ROW_PADDING;
}

static pg_status read_layer(pg_layer *layer, pg_section weights, pg_section bias, pg_section multipliers) {
    pg_status status = read_weights(layer, weights);
    if (status != PG_OK) return status;
    if (bias.length != layer->outputs * sizeof(int32_t)) return PG_BAD_BIAS;
    if (multipliers.length != layer->outputs) return PG_BAD_MULTIPLIER;
    for (uint32_t i = 0; i < layer->outputs; i++) {
        int32_t value = pg_i32(bias.at + i * sizeof value);
        if (value > (int32_t)PG_MAX_BIAS || value < -(int32_t)PG_MAX_BIAS) return PG_BAD_BIAS;
        if (multipliers.at[i] == 0) return PG_BAD_MULTIPLIER;
    }
    layer->bias = bias.at;
    layer->multipliers = multipliers.at;
    return PG_OK;
}

static pg_status read_labels(pg_model *model, pg_section labels) {
    size_t names = sizeof(uint32_t) * (model->classes + (size_t)2); /* count and offsets come before them */
    if (labels.length < names || pg_u32(labels.at) != model->classes) return PG_BAD_LABELS;
    uint32_t before = 0;
    for (uint32_t i = 0; i <= model->classes; i++) {
        uint32_t offset = pg_u32(labels.at + sizeof(uint32_t) * (i + (size_t)1));
        if (offset < before || (i == 0 && offset != 0)) return PG_BAD_LABELS;
        before = offset;
    }
    if (before != labels.length - names) return PG_BAD_LABELS;
    model->labels = labels.at;
    model->labels_length = labels.length;
    return PG_OK;
}

/* Whether exactly the parts of a layer are there that are wanted. */
static pg_status check_parts(const pg_section *sections, const uint8_t *parts, size_t count, int wanted) {
    for (size_t i = 0; i < count; i++)
        if ((sections[parts[i]].at != NULL) != wanted) return wanted ? PG_MISSING_SECTION : PG_UNEXPECTED_SECTION;
    return PG_OK;
}

/* Everything that says which layers there are, and how large. */
static pg_status read_shape(pg_model *model, const pg_section *sections) {
    static const uint8_t required[] = {PG_SECTION_PROJECTION, PG_SECTION_HEAD,        PG_SECTION_WEIGHTS,
                                       PG_SECTION_BIAS,       PG_SECTION_MULTIPLIERS, PG_SECTION_LABELS};
    static const uint8_t hidden[] = {PG_SECTION_HIDDEN_WEIGHTS, PG_SECTION_HIDDEN_BIAS, PG_SECTION_HIDDEN_MULTIPLIERS};
    static const uint8_t convolution[] = {PG_SECTION_CONVOLUTION_WEIGHTS, PG_SECTION_CONVOLUTION_BIAS,
                                          PG_SECTION_CONVOLUTION_MULTIPLIERS};
    const pg_section *projection = &sections[PG_SECTION_PROJECTION], *words = &sections[PG_SECTION_WORDS];
    const pg_section *filters = &sections[PG_SECTION_CONVOLUTION];
    pg_status status;
    if ((status = check_parts(sections, required, sizeof required, 1)) != PG_OK) return status;
    if ((status = read_projection(&model->projection, projection->at, projection->length)) != PG_OK) return status;
    if ((status = read_head(model, sections[PG_SECTION_HEAD])) != PG_OK) return status;
    if ((status = check_parts(sections, hidden, sizeof hidden, model->hidden.outputs > 0)) != PG_OK) return status;
    if (words->at && (status = read_words(model, *words)) != PG_OK) return status;
    if (filters->at && (status = read_convolution(model, *filters)) != PG_OK) return status;
    if ((status = check_parts(sections, convolution, sizeof convolution, filters->at != NULL)) != PG_OK) return status;
    return count_inputs(model);
}

pg_status pg_read_sections(pg_model *model, const pg_section *sections) {
    pg_status status = read_shape(model, sections);
    if (status == PG_OK && model->hidden.outputs > 0)
        status = read_layer(&model->hidden, sections[PG_SECTION_HIDDEN_WEIGHTS], sections[PG_SECTION_HIDDEN_BIAS],
                            sections[PG_SECTION_HIDDEN_MULTIPLIERS]);
    if (status == PG_OK && model->convolution.outputs > 0)
        status = read_layer(&model->convolution, sections[PG_SECTION_CONVOLUTION_WEIGHTS],
                            sections[PG_SECTION_CONVOLUTION_BIAS], sections[PG_SECTION_CONVOLUTION_MULTIPLIERS]);
    if (status == PG_OK)
        status = read_layer(&model->output, sections[PG_SECTION_WEIGHTS], sections[PG_SECTION_BIAS],
                            sections[PG_SECTION_MULTIPLIERS]);
    return status != PG_OK ? status : read_labels(model, sections[PG_SECTION_LABELS]);
}

pg_status pg_open(pg_model *model, const void *bytes, size_t length) {
    if (!model || !bytes) return PG_BAD_ARGUMENT;
    pg_section sections[PG_SECTION_KINDS] = {{NULL, 0}}, provenance = {NULL, 0};
    uint32_t count;
    memset(model, 0, sizeof *model);
    pg_status status = pg_read_header(bytes, length, PG_MAGIC, PG_MAX_SECTIONS, &count);
    if (status != PG_OK) return status;
    if ((status = read_table(bytes, length, count, sections, &provenance)) != PG_OK) return status;
    model->provenance = provenance.at;
    model->provenance_length = provenance.length;
    return pg_read_sections(model, sections);
}

pg_status pg_label(const pg_model *model, uint32_t index, const char **text, size_t *length) {
    if (!model || !text || !length) return PG_BAD_ARGUMENT;
    if (index >= model->classes) return PG_NO_SUCH_LABEL;
    const uint8_t *offsets = model->labels + sizeof(uint32_t);
    const uint8_t *names = offsets + sizeof(uint32_t) * (model->classes + (size_t)1);
    uint32_t start = pg_u32(offsets + sizeof start * index);
    *length = pg_u32(offsets + sizeof start * (index + (size_t)1)) - start;
    *text = (const char *)names + start;
    return PG_OK;
}

#define PG_STATUS_TEXT(name, text) text,
#define PG_STATUS_WORD(name, text) #name,

const char *pg_status_text(pg_status status) {
    static const char *const texts[] = {PG_STATUSES(PG_STATUS_TEXT)};
    return (unsigned)status < PG_STATUS_COUNT ? texts[status] : "not a status of this version";
}

const char *pg_status_name(pg_status status) {
    static const char *const names[] = {PG_STATUSES(PG_STATUS_WORD)};
    return (unsigned)status < PG_STATUS_COUNT ? names[status] : "PG_UNKNOWN";
}
