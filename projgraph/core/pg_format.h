/* The .pgb model file as numbers; generated from projgraph/pack/format.py, do not edit:
 *     python -m projgraph.pack.header */

#ifndef PG_FORMAT_H
#define PG_FORMAT_H

/* clang-format off */

#define PG_MAGIC 4343632u

#define PG_BUNDLE_MAGIC 4736848u

#define PG_MAJOR 1u
#define PG_MINOR 4u
#define PG_ALIGNMENT 16u
#define PG_CHECKED_FROM 16u
#define PG_ROW_PADDING 32u
#define PG_WEIGHTS_BITS 15u
#define PG_WEIGHTS_SHARED 16u
#define PG_WEIGHTS_SPARSE 32u
#define PG_CODEBOOK_SIZE 16u
#define PG_SPARSE_BLOCK 16u

#define PG_MAX_ADDITIONS 16u
#define PG_MAX_BIAS 1073741823u
#define PG_MAX_BITS 16384u
#define PG_MAX_BUNDLE_SECTIONS 65535u
#define PG_MAX_CHARACTER_NGRAM 8u
#define PG_MAX_CLASSES 4096u
#define PG_MAX_COLUMNS 16777216u
#define PG_MAX_DIMENSIONS 128u
#define PG_MAX_FAMILIES 4u
#define PG_MAX_FEATURES 32767u
#define PG_MAX_FILTERS 128u
#define PG_MAX_HEADS 4096u
#define PG_MAX_INPUT_SUM 32896u
#define PG_MAX_LENGTH 268435456u
#define PG_MAX_NORM_SHIFT 6u
#define PG_MAX_SECTIONS 64u
#define PG_MAX_SEEN_SLOTS_LOG2 16u
#define PG_MAX_SHIFT 30u
#define PG_MAX_UNITS 256u
#define PG_MAX_VALUES 65535u
#define PG_MAX_VOCABULARY 1048576u
#define PG_MAX_WIDTH 5u
#define PG_MAX_WORDS 4096u
#define PG_MAX_WORD_NGRAM 4u
#define PG_MIN_DIMENSIONS 8u

#define PG_HEADER_AT_MAGIC 0u /* PGB and a zero byte */
#define PG_HEADER_AT_MAJOR 4u /* readers refuse another major version */
#define PG_HEADER_AT_MINOR 6u /* readers accept any minor version */
#define PG_HEADER_AT_LENGTH 8u /* bytes of the whole file */
#define PG_HEADER_AT_CHECKSUM 12u /* CRC-32 of bytes 16 to the end */
#define PG_HEADER_AT_SECTIONS 16u /* entries in the section table */
#define PG_HEADER_AT_RESERVED_0 20u /* zero */
#define PG_HEADER_AT_RESERVED_1 24u /* zero */
#define PG_HEADER_AT_RESERVED_2 28u /* zero */
#define PG_HEADER_SIZE 32u

#define PG_SECTION_AT_KIND 0u /* a Section value */
#define PG_SECTION_AT_OFFSET 4u /* a multiple of 16 */
#define PG_SECTION_AT_LENGTH 8u /* bytes, without padding */
#define PG_SECTION_AT_RESERVED 12u /* zero */
#define PG_SECTION_SIZE 16u

#define PG_PROJECTION_AT_SEED 0u /* of every hash */
#define PG_PROJECTION_AT_FUNCTIONS 8u /* T, the paper's projection functions */
#define PG_PROJECTION_AT_FUNCTION_BITS 10u /* d, the bits of each */
#define PG_PROJECTION_AT_QUANTISER 12u /* a Quantiser value */
#define PG_PROJECTION_AT_FAMILIES 13u /* feature families that follow; 0 for vectors */
#define PG_PROJECTION_AT_SEEN_SLOTS_LOG2 14u /* log2 of the repeat filter's slots; 0 counts every occurrence, and for vectors */
#define PG_PROJECTION_AT_INPUT 15u /* an InputKind value */
#define PG_PROJECTION_SIZE 16u

#define PG_FAMILY_AT_KIND 0u /* a FamilyKind value */
#define PG_FAMILY_AT_N_MIN 1u /* shortest n-gram */
#define PG_FAMILY_AT_N_MAX 2u /* longest n-gram */
#define PG_FAMILY_AT_ADDITIONS 3u /* signed additions of one feature */
#define PG_FAMILY_AT_FIRST_BIT 4u /* start of the family's own block of bits */
#define PG_FAMILY_AT_BIT_COUNT 8u /* size of that block, a multiple of additions */
#define PG_FAMILY_AT_RESERVED 12u /* zero */
#define PG_FAMILY_SIZE 16u

#define PG_VECTOR_AT_COLUMNS 0u /* columns of a row */
#define PG_VECTOR_AT_SCALE 4u /* integer value = round(x * scale), half to even, clipped to 16 bits */
#define PG_VECTOR_AT_ADDITIONS 8u /* signed additions of one column */
#define PG_VECTOR_AT_THRESHOLDS 10u /* 1: an int32 a bit follows, which its sum is compared with; 0: zero for every bit */
#define PG_VECTOR_AT_RESERVED_0 11u /* zero */
#define PG_VECTOR_AT_RESERVED_1 12u /* zero */
#define PG_VECTOR_SIZE 16u

#define PG_HEAD_AT_KIND 0u /* a HeadKind value */
#define PG_HEAD_AT_WEIGHT_BITS 1u /* of the output layer, and how they are stored */
#define PG_HEAD_AT_HIDDEN_WEIGHT_BITS 2u /* of the hidden layer, likewise; 0 without one */
#define PG_HEAD_AT_HIDDEN_SHIFT 3u /* right shift of a hidden sum */
#define PG_HEAD_AT_CLASSES 4u /* outputs */
#define PG_HEAD_AT_UNITS 6u /* hidden units, 0 without a hidden layer */
#define PG_HEAD_AT_SCALE 8u /* logit = integer score * scale */
#define PG_HEAD_AT_THRESHOLD 12u /* a largest score below it gives no label; 0 for none */
#define PG_HEAD_SIZE 16u

#define PG_WORDS_AT_COUNT 0u /* words of the table */
#define PG_WORDS_AT_DIMENSIONS 4u /* D, the numbers of -1 and +1 in a word's code, a multiple of 8 */
#define PG_WORDS_AT_NORM_SHIFT 6u /* a code sum is worth 2**norm_shift times the sum over the root of its squared weights */
#define PG_WORDS_AT_RESERVED 7u /* zero */
#define PG_WORDS_SIZE 8u

#define PG_CONVOLUTION_AT_FILTERS 0u /* filters */
#define PG_CONVOLUTION_AT_WIDTH 2u /* words of a window */
#define PG_CONVOLUTION_AT_SHIFT 3u /* right shift of a filter's largest sum */
#define PG_CONVOLUTION_AT_RESERVED 4u /* zero */
#define PG_CONVOLUTION_SIZE 8u

#define PG_HEADS_AT_COUNT 0u /* heads of the bundle */
#define PG_HEADS_AT_SLOTS 4u /* sections of a head that the directory has room for, one for each kind */
#define PG_HEADS_SIZE 8u

#define PG_SECTION_PROJECTION 1u
#define PG_SECTION_HEAD 2u
#define PG_SECTION_WEIGHTS 3u
#define PG_SECTION_BIAS 4u
#define PG_SECTION_MULTIPLIERS 5u
#define PG_SECTION_HIDDEN_WEIGHTS 6u
#define PG_SECTION_HIDDEN_BIAS 7u
#define PG_SECTION_HIDDEN_MULTIPLIERS 8u
#define PG_SECTION_LABELS 9u
#define PG_SECTION_WORDS 10u
#define PG_SECTION_CONVOLUTION 11u
#define PG_SECTION_CONVOLUTION_WEIGHTS 12u
#define PG_SECTION_CONVOLUTION_BIAS 13u
#define PG_SECTION_CONVOLUTION_MULTIPLIERS 14u
#define PG_SECTION_PROVENANCE 32769u

#define PG_BUNDLE_HEADS 28673u

#define PG_QUANTISER_SIGN 0u
#define PG_QUANTISER_TERNARY 1u

#define PG_INPUT_TEXT 0u
#define PG_INPUT_VECTOR 1u

#define PG_FAMILY_WORD 1u
#define PG_FAMILY_CHARACTER 2u

#define PG_HEAD_LINEAR 1u
#define PG_HEAD_HIDDEN 2u

#define PG_SECTION_KINDS 15u

#define PG_SECTION_OPTIONAL 32768u

/* clang-format on */

#endif
