/* Between projgraph.Model of Java and the device core: a handle holds the model's bytes, the scratch and the scores. */

#include <jni.h>
#include <stdlib.h>

#include "projgraph.h"

typedef struct {
    pg_model model;
    unsigned char *bytes, *scratch;
    int32_t *scores;
    size_t scratch_size;
} handle;

static void *throw_new(JNIEnv *env, const char *class_name, const char *message) {
    jclass type = (*env)->FindClass(env, class_name);
    if (type) (*env)->ThrowNew(env, type, message);
    return NULL;
}

static void release(handle *held) {
    if (!held) return;
    free(held->bytes);
    free(held->scratch);
    free(held->scores);
    free(held);
}

JNIEXPORT void JNICALL Java_projgraph_Model_close0(JNIEnv *env, jclass type, jlong address) {
    (void)env, (void)type;
    release((handle *)(intptr_t)address);
}

JNIEXPORT jlong JNICALL Java_projgraph_Model_open0(JNIEnv *env, jclass type, jbyteArray model) {
    (void)type;
    size_t length = (size_t)(*env)->GetArrayLength(env, model);
    handle *held = calloc(1, sizeof *held);
    if (held) held->bytes = malloc(length ? length : 1);
    pg_status status = PG_OK;
    if (held && held->bytes) {
        (*env)->GetByteArrayRegion(env, model, 0, (jsize)length, (jbyte *)held->bytes);
        status = pg_open(&held->model, held->bytes, length);
        if (status == PG_OK && held->model.projection.input != PG_INPUT_TEXT) status = PG_WANTS_VECTOR;
    }
    if (held && held->bytes && status == PG_OK) {
        held->scratch_size = pg_scratch_size(&held->model);
        held->scratch = malloc(held->scratch_size);
        held->scores = malloc(held->model.classes * sizeof *held->scores);
        if (held->scratch && held->scores) return (jlong)(intptr_t)held;
    }
    release(held);
    if (status != PG_OK)
        throw_new(env, "java/lang/IllegalArgumentException", pg_status_text(status));
    else
        throw_new(env, "java/lang/OutOfMemoryError", "no memory for the model");
    return 0;
}

/* UTF-16 to UTF-8. JNI's own conversion is of another kind: it writes a zero, and characters beyond 16 bits, in ways
 * that UTF-8 does not have. Half of a pair becomes three bytes, which the core reads as ill-formed, as everywhere. */
static size_t utf8(const jchar *text, size_t length, unsigned char *out) {
    size_t size = 0;
    for (size_t i = 0; i < length; i++) {
        uint32_t point = text[i];
        if (point >> 10 == 0x36 && i + 1 < length && text[i + 1] >> 10 == 0x37)
            point = 0x10000 + ((point & 0x3FF) << 10 | (text[++i] & 0x3FF));
        if (point < 0x80) {
            out[size++] = (unsigned char)point;
            continue;
        }
        if (point < 0x800) {
            out[size++] = (unsigned char)(0xC0 | point >> 6);
        } else {
            if (point < 0x10000) {
                out[size++] = (unsigned char)(0xE0 | point >> 12);
            } else {
                out[size++] = (unsigned char)(0xF0 | point >> 18);
                out[size++] = (unsigned char)(0x80 | (point >> 12 & 0x3F));
            }
            out[size++] = (unsigned char)(0x80 | (point >> 6 & 0x3F));
        }
        out[size++] = (unsigned char)(0x80 | (point & 0x3F));
    }
    return size;
}

/* The label's index, or -1; the scores stay in the handle. -2 where an exception is on its way. */
static jint predict(JNIEnv *env, handle *held, jstring text) {
    size_t length = (size_t)(*env)->GetStringLength(env, text);
    unsigned char few[1024], *bytes = 3 * length <= sizeof few ? few : malloc(3 * length);
    const jchar *characters = bytes ? (*env)->GetStringCritical(env, text, NULL) : NULL;
    if (!characters) {
        if (bytes != few) free(bytes);
        throw_new(env, "java/lang/OutOfMemoryError", "no memory for the text");
        return -2;
    }
    size_t size = utf8(characters, length, bytes);
    (*env)->ReleaseStringCritical(env, text, characters);
    uint32_t label;
    pg_status status =
        pg_predict(&held->model, (const char *)bytes, size, held->scratch, held->scratch_size, held->scores, &label);
    if (bytes != few) free(bytes);
    if (status == PG_OK) return label == PG_NO_LABEL ? -1 : (jint)label;
    throw_new(env, "java/lang/IllegalStateException", pg_status_text(status));
    return -2;
}

JNIEXPORT jint JNICALL Java_projgraph_Model_predict0(JNIEnv *env, jclass type, jlong address, jstring text) {
    (void)type;
    return predict(env, (handle *)(intptr_t)address, text);
}

JNIEXPORT jintArray JNICALL Java_projgraph_Model_scores0(JNIEnv *env, jclass type, jlong address, jstring text) {
    (void)type;
    handle *held = (handle *)(intptr_t)address;
    if (predict(env, held, text) == -2) return NULL;
    jsize classes = (jsize)held->model.classes;
    jintArray scores = (*env)->NewIntArray(env, classes);
    if (scores) (*env)->SetIntArrayRegion(env, scores, 0, classes, (const jint *)held->scores);
    return scores;
}

JNIEXPORT jint JNICALL Java_projgraph_Model_classes0(JNIEnv *env, jclass type, jlong address) {
    (void)env, (void)type;
    return (jint)((handle *)(intptr_t)address)->model.classes;
}

JNIEXPORT jbyteArray JNICALL Java_projgraph_Model_label0(JNIEnv *env, jclass type, jlong address, jint index) {
    (void)type;
    const char *text;
    size_t length;
    pg_status status = pg_label(&((handle *)(intptr_t)address)->model, (uint32_t)index, &text, &length);
    if (status != PG_OK) return throw_new(env, "java/lang/IllegalArgumentException", pg_status_text(status));
    jbyteArray bytes = (*env)->NewByteArray(env, (jsize)length);
    if (bytes) (*env)->SetByteArrayRegion(env, bytes, 0, (jsize)length, (const jbyte *)text);
    return bytes;
}
