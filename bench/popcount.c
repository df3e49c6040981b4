/* What two rows of packed bits share, for every pair: the loop a C programmer writes by hand, to hold the compiled Python to. */
#include <stdint.h>

void shared_plain(const uint64_t *words, int64_t width, const int32_t *first, const int32_t *second, int64_t pairs, int64_t *shared) {
    for (int64_t p = 0; p < pairs; p++) {
        const uint64_t *a = words + first[p] * width, *b = words + second[p] * width;
        int64_t total[4] = {0, 0, 0, 0}, k = 0;
        for (; k + 4 <= width; k += 4)
            for (int lane = 0; lane < 4; lane++) total[lane] += __builtin_popcountll(a[k + lane] & b[k + lane]);
        for (; k < width; k++) total[0] += __builtin_popcountll(a[k] & b[k]);
        shared[p] = total[0] + total[1] + total[2] + total[3];
    }
}

#if defined(__AVX512BW__)
#include <immintrin.h>
/* Sixteen counts in a register, looked up by half bytes; with the instruction for it where the processor has one. */
static inline __m512i byte_counts(__m512i bits) {
    const __m512i table = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const __m512i low = _mm512_set1_epi8(15);
    __m512i upper = _mm512_and_si512(_mm512_srli_epi16(bits, 4), low);
    return _mm512_add_epi8(_mm512_shuffle_epi8(table, _mm512_and_si512(bits, low)), _mm512_shuffle_epi8(table, upper));
}

void shared_vectors(const uint64_t *words, int64_t width, const int32_t *first, const int32_t *second, int64_t pairs, int64_t *shared) {
    for (int64_t p = 0; p < pairs; p++) {
        const uint64_t *a = words + first[p] * width, *b = words + second[p] * width;
        __m512i total = _mm512_setzero_si512();
        int64_t k = 0;
        for (; k + 32 <= width; k += 32) {
#if defined(__AVX512VPOPCNTDQ__)
            for (int u = 0; u < 32; u += 8)
                total = _mm512_add_epi64(total, _mm512_popcnt_epi64(_mm512_and_si512(_mm512_loadu_si512(a + k + u), _mm512_loadu_si512(b + k + u))));
#else
            __m512i bytes = _mm512_setzero_si512();
            for (int u = 0; u < 32; u += 8)
                bytes = _mm512_add_epi8(bytes, byte_counts(_mm512_and_si512(_mm512_loadu_si512(a + k + u), _mm512_loadu_si512(b + k + u))));
            total = _mm512_add_epi64(total, _mm512_sad_epu8(bytes, _mm512_setzero_si512()));
#endif
        }
        shared[p] = _mm512_reduce_add_epi64(total);
        for (; k < width; k++) shared[p] += __builtin_popcountll(a[k] & b[k]);
    }
}
#else
void shared_vectors(const uint64_t *words, int64_t width, const int32_t *first, const int32_t *second, int64_t pairs, int64_t *shared) {
    shared_plain(words, width, first, second, pairs, shared);
}
#endif
