/* Convolutions and pools on channels-last activations, below the count of multiplications that the
   sum over a window needs.

   Memory is (B, T, H, W, C) float32; `ldi` and `ldo` are the floats from one position to the next,
   so a layer can read and write a slice of a wider buffer. Every kernel cuts its work in units; a
   unit transforms a block of input into scratch that stays in the L2 cache, multiplies panel after
   panel of output channels, and puts each panel in its place, biased and rectified, at once. */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __AVX__
#include <immintrin.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif

#if defined(__AVX512F__)
#define VL 16
#define MR 14
#elif defined(__AVX__)
#define VL 8
#define MR 6
#else
#define VL 4
#define MR 6
#endif
#define NR (2 * VL)
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 64")

typedef float vec __attribute__((vector_size(4 * VL), aligned(4), may_alias));
typedef float oct __attribute__((vector_size(32), aligned(4), may_alias)); /* two pixels */

/* What one convolution reads and writes. Sizes are those of the input; out_* those of the output.
   `u` are weights as kernels.py packs them, `bias` as many as `cout`, padded to whole vectors. */
typedef struct {
    const float *in;
    float *out;
    const float *u, *bias;
    long ldi, ldo, cin, cout;
    long b, t, h, w, out_t, out_h, out_w;
    long kt, kh, kw, st, sh, sw, pt, ph, pw;
    long relu, streams, threads;
} layer;

/* ---------------------------------------------------------------- small things */

INLINE vec load(const float *p) { return *(const vec *)p; }
INLINE void store(float *p, vec v) { *(vec *)p = v; }
INLINE vec load_some(const float *p, long n) {
    vec v = {0};
    if (n >= VL) return load(p);
    for (long i = 0; i < n; i++) v[i] = p[i];
    return v;
}
INLINE void store_some(float *p, vec v, long n) {
    if (n >= VL) store(p, v);
    else for (long i = 0; i < n; i++) p[i] = v[i];
}
/* Puts n channels in their place; past the caches where `streams` and the place allow. */
INLINE void put(float *p, vec v, long n, long streams) {
#if defined(__AVX512F__)
    if (streams && n >= VL && !((size_t)p & 63)) return _mm512_stream_ps(p, (__m512)v);
#elif defined(__AVX__)
    if (streams && n >= VL && !((size_t)p & 31)) return _mm256_stream_ps(p, (__m256)v);
#endif
    (void)streams;
    store_some(p, v, n);
}
INLINE vec larger(vec a, vec b) {
#if defined(__AVX512F__)
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX__)
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#else
    vec v;
    UNROLL for (int i = 0; i < VL; i++) v[i] = a[i] > b[i] ? a[i] : b[i];
    return v;
#endif
}
INLINE vec rectified(vec v) { return larger((vec){0}, v); } /* in this order NaN stays NaN */
INLINE long up(long n, long unit) { return (n + unit - 1) / unit * unit; }
INLINE long least(long a, long b) { return a < b ? a : b; }
INLINE long most(long a, long b) { return a > b ? a : b; }

static __thread float *scratch_start;
static __thread size_t scratch_floats;

/* Scratch of this thread, kept between calls; NULL where memory is out. */
static float *scratch(size_t floats) {
    if (floats > scratch_floats) {
        void *p = NULL;
        free(scratch_start);
        scratch_start = NULL;
        scratch_floats = 0;
        if (posix_memalign(&p, 4096, floats * sizeof(float))) return NULL;
        scratch_start = p;
        scratch_floats = floats;
    }
    return scratch_start;
}

static long cache_floats(void) {
    static long floats = 0;
    if (!floats) {
        long bytes = -1;
#ifdef _SC_LEVEL2_CACHE_SIZE
        bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
        floats = (bytes < (1 << 17) ? 1 << 18 : least(bytes, 1 << 21)) / 4;
    }
    return floats;
}

long s3d_vector(void) { return VL; }

/* ---------------------------------------------------------------- matrix product */

/* c[mr][nv*VL] = a[mr][depth] . b[depth][nv*VL], with mr and nv known to the compiler. */
INLINE void product(const int mr, const int nv, const int finish, const float *a, long lda,
                    long depth, const float *b, float *c, long ldc, const float *bias, int how,
                    long n) {
    vec sum[MR][2];
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++)
        sum[i][j] = finish ? load(bias + j * VL) : (vec){0};
    const float *row[5];
    UNROLL for (int i = 0; i < 5; i++) row[i] = a + 3 * i * lda;
    for (long k = 0; k < depth; k++) {
        vec line[2];
        UNROLL for (int j = 0; j < nv; j++) line[j] = load(b + j * VL);
        b += nv * VL;
        UNROLL for (int i = 0; i < mr; i++) {
            const float x = row[i / 3][(i % 3) * lda];
            UNROLL for (int j = 0; j < nv; j++) sum[i][j] += x * line[j];
        }
        UNROLL for (int i = 0; i < 5; i++) row[i]++;
    }
    UNROLL for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++) {
        vec v = sum[i][j];
        if (finish && (how & 1)) v = rectified(v);
        if (finish) put(c + i * ldc + j * VL, v, n - j * VL, how & 2);
        else store(c + i * ldc + j * VL, v);
    }
}

#define CASE(M)                                                                                    \
    case M:                                                                                        \
        if (finish) {                                                                              \
            if (nv == 2) product(M, 2, 1, a, lda, depth, b, c, ldc, bias, how, n);                \
            else product(M, 1, 1, a, lda, depth, b, c, ldc, bias, how, n);                        \
        } else {                                                                                   \
            if (nv == 2) product(M, 2, 0, a, lda, depth, b, c, ldc, bias, how, n);                \
            else product(M, 1, 0, a, lda, depth, b, c, ldc, bias, how, n);                        \
        }                                                                                          \
        break;

static void some_rows(int mr, int nv, int finish, const float *a, long lda, long depth,
                      const float *b, float *c, long ldc, const float *bias, int how, long n) {
    switch (mr) {
        CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
#if MR == 14
        CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12) CASE(13) CASE(14)
#endif
    }
}

/* As many rows as there are, cut evenly. */
static void all_rows(long rows, int nv, int finish, const float *a, long lda, long depth,
                     const float *b, float *c, long ldc, const float *bias, int how, long n) {
    long cuts = (rows + MR - 1) / MR;
    for (long i = 0, from = 0; i < cuts; i++) {
        long to = (i + 1) * rows / cuts;
        some_rows((int)(to - from), nv, finish, a + from * lda, lda, depth, b, c + from * ldc, ldc,
                  bias, how, n);
        from = to;
    }
}

/* How a product is finished: bit 0 rectified, bit 1 written past the caches. */
INLINE int how(const layer *l) { return (l->relu ? 1 : 0) | (l->streams ? 2 : 0); }

/* The panels of a layer: all NR channels wide but the last, which may be VL wide. */
INLINE int panel_vectors(long cout, long first) { return cout - first > VL ? 2 : 1; }

/* ---------------------------------------------------------------- transforms */

/* F(4, 3), points 0, 1, -1, 2, -2, infinity. */
INLINE void in6(const vec *d, long s, vec *v) {
    vec a = d[4 * s] - 4 * d[2 * s], b = d[3 * s] - 4 * d[s];
    vec c = d[4 * s] - d[2 * s], e = 2 * (d[3 * s] - d[s]);
    v[0] = 4 * d[0] - 5 * d[2 * s] + d[4 * s];
    v[1] = a + b;
    v[2] = a - b;
    v[3] = c + e;
    v[4] = c - e;
    v[5] = 4 * d[s] - 5 * d[3 * s] + d[5 * s];
}
INLINE void out6(const vec *m, long s, vec *y) {
    vec a = m[s] + m[2 * s], b = m[s] - m[2 * s];
    vec c = m[3 * s] + m[4 * s], e = m[3 * s] - m[4 * s];
    y[0] = m[0] + a + c;
    y[1] = b + 2 * e;
    y[2] = a + 4 * c;
    y[3] = b + 8 * e + m[5 * s];
}

/* F(4, 4), points 1, -1, 2, -2, 1/2, -1/2, infinity; for any vector type. */
#define IN7(T, d, v)                                                                               \
    do {                                                                                           \
        T e1 = d[0] - 4.25f * d[2] + d[4], o1 = d[1] - 4.25f * d[3] + d[5];                        \
        T e2 = 2 * (0.25f * d[0] - 1.25f * d[2] + d[4]), o2 = 0.25f * d[1] - 1.25f * d[3] + d[5];  \
        T e3 = 0.5f * (4 * d[0] - 5 * d[2] + d[4]), o3 = 4 * d[1] - 5 * d[3] + d[5];               \
        v[0] = o1 + e1;                                                                            \
        v[1] = o1 - e1;                                                                            \
        v[2] = o2 + e2;                                                                            \
        v[3] = o2 - e2;                                                                            \
        v[4] = o3 + e3;                                                                            \
        v[5] = o3 - e3;                                                                            \
        v[6] = d[6] - 5.25f * d[4] + 5.25f * d[2] - d[0];                                          \
    } while (0)
INLINE void in7(const vec *d, vec *v) { IN7(vec, d, v); }
INLINE void in7_oct(const oct *d, oct *v) { IN7(oct, d, v); }
INLINE void out7(const vec *m, vec *y) {
    vec s1 = m[0] + m[1], d1 = m[0] - m[1], s2 = m[2] + m[3], d2 = m[2] - m[3];
    vec s3 = m[4] + m[5], d3 = m[4] - m[5];
    y[0] = s1 + s2 + s3;
    y[1] = d1 + 2 * d2 + 0.5f * d3;
    y[2] = s1 + 4 * s2 + 0.25f * s3;
    y[3] = d1 + 8 * d2 + 0.125f * d3 + m[6];
}

/* ---------------------------------------------------------------- how work is cut */

typedef struct {
    long rows, groups, per_group; /* rows of a unit; groups of panels, panels in each */
} cut;

/* Rows so that what is transformed fills half the cache; panels are shared out where rows are few. */
static cut cut_work(const layer *l, long rows, long floats_per_row, long whole) {
    cut k;
    long panels = (l->cout + NR - 1) / NR, fit = cache_floats() / 2 / floats_per_row;
    fit = most(fit / whole * whole, whole);
    fit = least(fit, up(256, whole));
    long blocks = (rows + fit - 1) / fit, wanted = l->threads > 1 ? 3 * l->threads : 1;
    if (blocks < wanted) blocks = most(blocks, least(wanted, (rows + 2 * MR - 1) / (2 * MR)));
    k.rows = up((rows + blocks - 1) / blocks, whole);
    blocks = (rows + k.rows - 1) / k.rows;
    long groups = least(panels, most(1, wanted / blocks));
    k.per_group = (panels + groups - 1) / groups;
    k.groups = (panels + k.per_group - 1) / k.per_group;
    return k;
}

static const float zeros[4096];

/* ---------------------------------------------------------------- k x 3 x 3 */

static void space_input(const layer *l, const float *const *from, float *v, long step) {
    long cin = l->cin;
    for (long c = 0; c < cin; c += VL) {
        if (c + VL > cin && cin >= VL) c = cin - VL; /* the last vector overlaps the one before */
        long n = cin - c;
        vec mid[36];
        UNROLL for (int x = 0; x < 6; x++) {
            vec d[6], r[6];
            UNROLL for (int y = 0; y < 6; y++) d[y] = load_some(from[y * 6 + x] + c, n);
            in6(d, 1, r);
            UNROLL for (int y = 0; y < 6; y++) mid[y * 6 + x] = r[y];
        }
        UNROLL for (int y = 0; y < 6; y++) {
            vec r[6];
            in6(mid + y * 6, 1, r);
            UNROLL for (int x = 0; x < 6; x++) store(v + (y * 6 + x) * step + c, r[x]);
        }
    }
}

INLINE void space_output(const float *m, long step, vec bias, long relu, vec *y) {
    vec mid[24];
    UNROLL for (int x = 0; x < 6; x++) {
        vec d[6], r[4];
        UNROLL for (int i = 0; i < 6; i++) d[i] = load(m + (i * 6 + x) * step);
        out6(d, 1, r);
        UNROLL for (int i = 0; i < 4; i++) mid[i * 6 + x] = r[i];
    }
    UNROLL for (int i = 0; i < 4; i++) {
        vec r[4];
        out6(mid + i * 6, 1, r);
        UNROLL for (int x = 0; x < 4; x++) {
            vec s = r[x] + bias;
            y[i * 4 + x] = relu ? rectified(s) : s;
        }
    }
}

typedef struct {
    long frame, y, x; /* the first output of a tile */
} tile;

/* Puts a panel of a tile, whole cache lines one after another, as what is streamed must be. */
static void space_put(const layer *l, tile t, const float *m, long step, long c, int nv) {
    vec y[2][16];
    for (int j = 0; j < nv; j++)
        space_output(m + j * VL, step, load(l->bias + c + j * VL), l->relu, y[j]);
    float *to = l->out + ((t.frame * l->out_h + t.y) * l->out_w + t.x) * l->ldo + c;
    int high = (int)least(4, l->out_h - t.y), wide = (int)least(4, l->out_w - t.x);
    for (int i = 0; i < high; i++)
        for (int x = 0; x < wide; x++)
            for (int j = 0; j < nv; j++)
                put(to + (i * l->out_w + x) * l->ldo + j * VL, y[j][i * 4 + x],
                    l->cout - c - j * VL, l->streams);
}

INLINE tile find_tile(const layer *l, long i) {
    long across = (l->out_w + 3) / 4, down = (l->out_h + 3) / 4;
    tile t = {i / (across * down), i / across % down * 4, i % across * 4};
    return t;
}

/* Floats of a transformed tile: its taps in time lie one after another. */
INLINE long space_row(const layer *l) { return up((l->kt - 1) * l->cin + up(l->cin, VL), VL); }

static void space_tile(const layer *l, tile s, long tap, float *v, long step) {
    const float *from[36], *frame;
    long clip = s.frame / l->out_t, t = s.frame % l->out_t * l->st - l->pt + tap;
    frame = l->in + (clip * l->t + t) * l->h * l->w * l->ldi;
    for (int i = 0; i < 36; i++) {
        long y = s.y - l->ph + i / 6, x = s.x - l->pw + i % 6;
        int inside = t >= 0 && t < l->t && y >= 0 && y < l->h && x >= 0 && x < l->w;
        from[i] = inside ? frame + (y * l->w + x) * l->ldi : zeros;
    }
    space_input(l, from, v, step);
}

static void space_unit(const layer *l, cut k, long first, long rows, long group, float *v) {
    long depth = l->kt * l->cin, lda = space_row(l);
    long step = rows * lda + VL, across = rows * NR + VL;
    float *m = v + 36 * step;
    for (long r = 0; r < rows; r++)
        for (long i = 0; i < l->kt; i++)
            space_tile(l, find_tile(l, first + r), i, v + r * lda + i * l->cin, step);
    long last = least(l->cout, (group + 1) * k.per_group * NR);
    for (long c = group * k.per_group * NR; c < last; c += NR) {
        int nv = panel_vectors(l->cout, c);
        const float *u = l->u + c * 36 * depth;
        for (int i = 0; i < 36; i++)
            all_rows(rows, nv, 0, v + i * step, lda, depth, u + i * depth * nv * VL,
                     m + i * across, NR, NULL, 0, 0);
        for (long r = 0; r < rows; r++)
            space_put(l, find_tile(l, first + r), m + r * NR, across, c, nv);
    }
}

/* k x 3 x 3, at stride 1 in space, by F(4 x 4, 3 x 3). Returns 1 where memory is out. */
int s3d_space(const layer *l) {
    long tiles = l->b * l->out_t * ((l->out_h + 3) / 4) * ((l->out_w + 3) / 4);
    cut k = cut_work(l, tiles, 36 * space_row(l), MR);
    long blocks = (tiles + k.rows - 1) / k.rows;
    size_t floats = 36 * (k.rows * (space_row(l) + NR) + 2 * VL);
    int failed = 0;
#pragma omp parallel for schedule(dynamic) num_threads(l->threads) reduction(|| : failed)
    for (long i = 0; i < blocks * k.groups; i++) {
        long first = i / k.groups * k.rows;
        float *v = scratch(floats);
        if (!v) failed = 1;
        else space_unit(l, k, first, least(k.rows, tiles - first), i % k.groups, v);
    }
    return failed;
}

/* Puts up to four outputs side by side, biased and rectified. */
INLINE void put_four(const layer *l, const vec *y, const float *bias, float *to, long apart, long count,
                     long n, long streams) {
    vec b = load(bias);
    UNROLL for (int x = 0; x < 4; x++) {
        vec r = y[x] + b;
        if (l->relu) r = rectified(r);
        if (x < count) put(to + x * apart, r, n, streams);
    }
}

/* ---------------------------------------------------------------- along time */

/* Places whose frames are transformed together: where the first is read and written, and how many
   floats lie between one frame and the next. */
typedef struct {
    const float *in;
    float *out;
    long in_frame, out_frame, count, tiles;
} stretch;

/* Transforms one place of one tile: `points` frames from `frame` on, for all channels. */
INLINE void time_input(const int points, const layer *l, const stretch *s, long place, long frame,
                       long apart, float *v, long step) {
    const float *from[7];
    long cin = l->cin;
    for (int i = 0; i < points; i++) {
        long t = frame + i * apart;
        from[i] = t >= 0 && t < l->t ? s->in + t * s->in_frame + place * l->ldi : zeros;
    }
    for (long c = 0; c < cin; c += VL) {
        if (c + VL > cin && cin >= VL) c = cin - VL;
        vec d[7] = {0}, r[7] = {0};
        UNROLL for (int i = 0; i < points; i++) d[i] = load_some(from[i] + c, cin - c);
        if (points == 6) in6(d, 1, r);
        else in7(d, r);
        UNROLL for (int i = 0; i < points; i++) store(v + i * step + c, r[i]);
    }
}

INLINE void time_unit(const int points, const layer *l, const stretch *s, long from, long to,
                      float *v) {
    const int phases = points == 6 ? 1 : 2;
    long lda = phases * up(l->cin, VL), depth = phases * l->cin;
    long rows = s->count * s->tiles, step = rows * lda + VL, across = rows * NR + VL;
    float *m = v + points * step;
    for (long i = 0; i < s->tiles; i++)
        for (long p = 0; p < s->count; p++)
            for (int f = 0; f < phases; f++)
                /* the second phase follows at once: depth is whole where cin is not */
                time_input(points, l, s, p, i * 4 * phases - l->pt + f, phases,
                           v + (i * s->count + p) * lda + f * l->cin, step);
    for (long c = from; c < to; c += NR) {
        int nv = panel_vectors(l->cout, c);
        const float *u = l->u + c * points * depth;
        for (int i = 0; i < points; i++)
            all_rows(rows, nv, 0, v + i * step, lda, depth, u + i * depth * nv * VL, m + i * across,
                     NR, NULL, 0, 0);
        for (long i = 0; i < s->tiles; i++)
            for (long p = 0; p < s->count; p++)
                for (int j = 0; j < nv; j++) {
                    const float *from = m + (i * s->count + p) * NR + j * VL;
                    float *to = s->out + i * 4 * s->out_frame + p * l->ldo + c + j * VL;
                    vec d[7] = {0}, y[4];
                    UNROLL for (int x = 0; x < points; x++) d[x] = load(from + x * across);
                    if (points == 6) out6(d, 1, y);
                    else out7(d, y);
                    put_four(l, y, l->bias + c + j * VL, to, s->out_frame, l->out_t - i * 4,
                             l->cout - c - j * VL, l->streams);
                }
    }
}

typedef void time_work(const layer *l, const stretch *s, long from, long to, float *v);
static void work3(const layer *l, const stretch *s, long from, long to, float *v) {
    time_unit(6, l, s, from, to, v);
}
static void work7(const layer *l, const stretch *s, long from, long to, float *v) {
    time_unit(7, l, s, from, to, v);
}

/* Places at once so that what is transformed fills the cache, in whole blocks of rows if near. */
static cut cut_places(const layer *l, long places, int points, long lda, long tiles) {
    cut k = cut_work(l, places, points * lda * tiles, 1);
    long whole = MR;
    while (whole > 1 && whole % 2 == 0 && whole / 2 * tiles % MR == 0) whole /= 2;
    if (k.rows > whole) k.rows = k.rows / whole * whole;
    return k;
}

static int along_time(const layer *l, int points, time_work *work) {
    long tiles = (l->out_t + 3) / 4, places = l->h * l->w;
    long lda = (points == 6 ? 1 : 2) * up(l->cin, VL);
    cut k = cut_places(l, places * l->b, points, lda, tiles);
    k.rows = least(k.rows, places);
    long blocks = (places + k.rows - 1) / k.rows, group = k.per_group * NR;
    size_t floats = points * (k.rows * tiles * (lda + NR) + 2 * VL);
    int failed = 0;
#pragma omp parallel for schedule(dynamic) num_threads(l->threads) reduction(|| : failed)
    for (long i = 0; i < l->b * blocks * k.groups; i++) {
        long first = i / k.groups % blocks * k.rows, clip = i / k.groups / blocks;
        long from = i % k.groups * group;
        stretch s = {l->in + (clip * l->t * places + first) * l->ldi,
                     l->out + (clip * l->out_t * places + first) * l->ldo,
                     places * l->ldi, places * l->ldo, least(k.rows, places - first), tiles};
        float *v = scratch(floats);
        if (!v) failed = 1;
        else work(l, &s, from, least(from + group, l->cout), v);
    }
    return failed;
}

/* 3 x 1 x 1 at stride 1 by F(4, 3). */
int s3d_time3(const layer *l) { return along_time(l, 6, work3); }

/* 7 x 1 x 1 at stride 2: of even and odd frames, 4 taps each, by F(4, 4). */
int s3d_time7(const layer *l) { return along_time(l, 7, work7); }

/* ---------------------------------------------------------------- 1 x 1 x 1 and any other */

/* Copies what the outputs `first` to `first + rows` see, (kt, kh, kw, cin) each. */
static void gather(const layer *l, long first, long rows, float *to) {
    size_t bytes = l->cin * sizeof(float);
    for (long r = first; r < first + rows; r++) {
        long x0 = r % l->out_w * l->sw - l->pw, y0 = r / l->out_w % l->out_h * l->sh - l->ph;
        long i = r / l->out_w / l->out_h, t0 = i % l->out_t * l->st - l->pt, clip = i / l->out_t;
        for (long t = t0; t < t0 + l->kt; t++)
            for (long y = y0; y < y0 + l->kh; y++)
                for (long x = x0; x < x0 + l->kw; x++, to += l->cin) {
                    int inside = t >= 0 && t < l->t && y >= 0 && y < l->h && x >= 0 && x < l->w;
                    const float *from = l->in + (((clip * l->t + t) * l->h + y) * l->w + x) * l->ldi;
                    if (inside) memcpy(to, from, bytes);
                    else memset(to, 0, bytes);
                }
    }
}

/* Any convolution, as a product of gathered windows with the weights. */
int s3d_direct(const layer *l) {
    long depth = l->kt * l->kh * l->kw * l->cin, rows = l->b * l->out_t * l->out_h * l->out_w;
    cut k = cut_work(l, rows, depth, MR);
    long blocks = (rows + k.rows - 1) / k.rows, group = k.per_group * NR;
    int failed = 0;
#pragma omp parallel for schedule(dynamic) num_threads(l->threads) reduction(|| : failed)
    for (long i = 0; i < blocks * k.groups; i++) {
        long first = i / k.groups * k.rows, count = least(k.rows, rows - first);
        long from = i % k.groups * group, to = least(from + group, l->cout);
        float *v = scratch(k.rows * depth);
        if (!v) {
            failed = 1;
            continue;
        }
        gather(l, first, count, v);
        for (long c = from; c < to; c += NR)
            all_rows(count, panel_vectors(l->cout, c), 1, v, depth, depth, l->u + c * depth,
                     l->out + first * l->ldo + c, l->ldo, l->bias + c, how(l), l->cout - c);
    }
    return failed;
}

/* 1 x 1 x 1: layers that read the same input, so that each block of it is fetched once. */
int s3d_points(const layer *siblings, long count) {
    const layer *l = siblings;
    long rows = l->b * l->t * l->h * l->w;
    cut k = cut_work(l, rows, l->cin, MR);
    long blocks = (rows + k.rows - 1) / k.rows;
#pragma omp parallel for schedule(dynamic) num_threads(l->threads)
    for (long i = 0; i < blocks * k.groups; i++) {
        long first = i / k.groups * k.rows, n = least(k.rows, rows - first), panel = 0;
        for (const layer *s = siblings; s < siblings + count; s++)
            for (long c = 0; c < s->cout; c += NR)
                if (panel++ % k.groups == i % k.groups)
                    all_rows(n, panel_vectors(s->cout, c), 1, s->in + first * s->ldi, s->ldi, s->cin,
                             s->u + c * s->cin, s->out + first * s->ldo + c, s->ldo, s->bias + c,
                             how(s), s->cout - c);
    }
    return 0;
}

/* ---------------------------------------------------------------- stem */

/* Where a clip's values lie: floats, or bytes less a mean; strides count values. */
typedef struct {
    const void *in;
    const float *mean; /* of bytes; NULL for floats */
    long clip, channel, frame, row, pixel;
} picture;

/* Fetches the same pixels of a frame that comes later; it may lie beyond the last. */
static __attribute__((noinline)) void expect_row(const layer *l, const picture *p, const long *at, long y, long x, long pixels,
                       long later) {
    long size = p->mean ? 1 : 4, first = most(x, 0), last = least(x + pixels, l->w);
    if (y < 0 || y >= l->h || last <= first) return;
    for (long c = 0; c < (p->pixel == 1 ? l->cin : 1); c++) {
        const char *row = (const char *)p->in + size * (at[0] * p->clip + (at[1] + later) * p->frame +
                                                        y * p->row + c * p->channel);
        const char *end = row + size * last * p->pixel;
        for (row += size * first * p->pixel; row < end; row += 64) __builtin_prefetch(row, 0, 2);
    }
}

/* Pixels from `x` on of one row, their channels side by side, zeros around the frame. */
static __attribute__((noinline)) void read_row(const layer *l, const picture *p, const long *at, long y, long x,
                     float *restrict to, long pixels) {
    long first = most(0, -x), last = least(pixels, l->w - x), cin = l->cin;
    if (y < 0 || y >= l->h || last <= first) {
        memset(to, 0, pixels * cin * sizeof(float));
        return;
    }
    memset(to, 0, first * cin * sizeof(float));
    memset(to + last * cin, 0, (pixels - last) * cin * sizeof(float));
    long from = at[0] * p->clip + at[1] * p->frame + y * p->row + x * p->pixel;
    if (!p->mean && p->pixel == 1 && cin == 3) { /* in one go, which compilers turn into vectors */
        const float *red = (const float *)p->in + from, *green = red + p->channel;
        const float *blue = green + p->channel;
        for (long i = first; i < last; i++) {
            to[3 * i] = red[i];
            to[3 * i + 1] = green[i];
            to[3 * i + 2] = blue[i];
        }
        return;
    }
    for (long c = 0; c < cin; c++, from += p->channel) {
        const unsigned char *bytes = p->in;
        const float *floats = p->in;
        if (p->mean)
            for (long i = first; i < last; i++)
                to[i * cin + c] = bytes[from + i * p->pixel] - p->mean[c];
        else
            for (long i = first; i < last; i++) to[i * cin + c] = floats[from + i * p->pixel];
    }
}

/* Some outputs of the stem: `frames` from at = {clip, frame} on, `high` rows, `wide` places. */
typedef struct {
    long at[2], frames, y, high, x, wide;
    float *out;
    long out_frame, out_row, ld, streams;
} band;

INLINE long band_rows(const layer *l, const band *b) { return 2 * (b->high - 1) + l->kh; }
INLINE long band_lda(const layer *l, const band *b) {
    return up(band_rows(l, b) * 2 * l->cin + 8, VL);
}
static size_t band_floats(const layer *l, const band *b) {
    long tiles = (b->wide + 3) / 4;
    return 7 * (b->frames * tiles * (band_lda(l, b) + NR) + 2 * VL) + band_rows(l, b) * (4 * tiles + 4) * 2 * l->cin + 64;
}

/* Rows of the frames, transformed along the width: v[7][frames][tiles][rows][pair], a pair of
   pixels being the 2 cin floats of which every tap of a stride of 2 sees one. */
static void stem_input(const layer *l, const picture *p, const band *b, float *v, long step,
                       float *read) {
    long pair = 2 * l->cin, tiles = (b->wide + 3) / 4, rows = band_rows(l, b), lda = band_lda(l, b);
    long wide = 4 * tiles + 4;
    for (long f = 0; f < b->frames; f++) {
        const long at[2] = {b->at[0], b->at[1] + f};
        /* All rows before the first is used: a wide load waits for narrow stores just done. */
        for (long r = 0; r < rows; r++) {
            long y = 2 * b->y - l->ph + r, x = 2 * b->x - l->pw;
            read_row(l, p, at, y, x, read + r * wide * pair, 8 * tiles + 6);
            expect_row(l, p, at, y, x, 8 * tiles + 6, b->frames);
        }
        for (long r = 0; r < rows; r++)
            for (long i = 0; i < tiles; i++) {
                const float *from = read + (r * wide + 4 * i) * pair;
                float *to = v + (f * tiles + i) * lda + r * pair;
                oct d[7], t[7];
                UNROLL for (int k = 0; k < 7; k++) d[k] = *(const oct *)(from + k * pair);
                in7_oct(d, t);
                /* What is stored beyond the pair is overwritten by the next row. */
                UNROLL for (int k = 0; k < 7; k++) *(oct *)(to + k * step) = t[k];
            }
    }
}

static void stem_output(const layer *l, const band *b, const float *m, long across, long y, long c,
                        int nv) {
    for (long f = 0; f < b->frames; f++)
        for (long x = 0; x < b->wide; x += 4, m += NR)
            for (int j = 0; j < nv; j++) {
                vec d[7], r[4];
                UNROLL for (int i = 0; i < 7; i++) d[i] = load(m + i * across + j * VL);
                out7(d, r);
                float *to = b->out + f * b->out_frame + y * b->out_row + x * b->ld + c + j * VL;
                put_four(l, r, l->bias + c + j * VL, to, b->ld, b->wide - x, l->cout - c - j * VL,
                         b->streams);
            }
}

static void stem_band(const layer *l, const picture *p, const band *b, float *v) {
    long tiles = (b->wide + 3) / 4, rows = b->frames * tiles, lda = band_lda(l, b);
    long step = rows * lda + VL, across = rows * NR + VL, depth = l->kh * 2 * l->cin;
    float *m = v + 7 * step;
    stem_input(l, p, b, v, step, m + 7 * across);
    for (long c = 0; c < l->cout; c += NR) {
        int nv = panel_vectors(l->cout, c);
        const float *u = l->u + c * 7 * depth;
        for (long y = 0; y < b->high; y++) {
            for (int i = 0; i < 7; i++)
                all_rows(rows, nv, 0, v + i * step + 2 * y * 2 * l->cin, lda, depth,
                         u + i * depth * nv * VL, m + i * across, NR, NULL, 0, 0);
            stem_output(l, b, m, across, y, c, nv);
        }
    }
}

#define STEM_ROWS 14
#ifndef STEM_HIGH
#define STEM_HIGH 4
#endif

/* 1 x k x 7 (or 8) at stride 2, of at most 4 channels, by F(4, 4) along the width. */
int s3d_stem(const layer *l, const picture *p) {
    long bands = (l->out_h + STEM_ROWS - 1) / STEM_ROWS, row = l->out_w * l->ldo;
    int failed = 0;
#pragma omp parallel for schedule(dynamic) num_threads(l->threads) reduction(|| : failed)
    for (long i = 0; i < l->b * l->t * bands; i++) {
        long y = i % bands * STEM_ROWS, frame = i / bands;
        band b = {{frame / l->t, frame % l->t}, 1, y, least(STEM_ROWS, l->out_h - y), 0, l->out_w,
                  l->out + (frame * l->out_h + y) * row, 0, row, l->ldo, l->streams};
        float *v = scratch(band_floats(l, &b));
        if (!v) failed = 1;
        else stem_band(l, p, &b, v);
    }
    return failed;
}

/* A part of a stem through all frames, then along time, while what is between stays in cache. */
static int stem_part(const layer *l, const picture *p, const layer *time, band b) {
    long group = most(1, 2 * MR / ((b.wide + 3) / 4)), all = l->t;
    long tiles = (time->out_t + 3) / 4, lda = 2 * up(time->cin, VL), row = time->out_w * time->ldo;
    b.frames = group;
    size_t between = all * b.out_frame, floats = 7 * (b.wide * tiles * (lda + NR) + 2 * VL);
    float *mid = scratch(between + most(floats, band_floats(l, &b))), *v = mid + between;
    if (!mid) return 1;
    for (long t = 0; t < all; t += group) {
        b.at[1] = t;
        b.frames = least(group, all - t);
        b.out = mid + t * b.out_frame;
        stem_band(l, p, &b, v);
    }
    for (long y = 0; y < b.high; y++) {
        long place = (b.at[0] * time->out_t * time->out_h + b.y + y) * row + b.x * time->ldo;
        stretch s = {mid + y * b.out_row, time->out + place, b.out_frame, time->out_h * row, b.wide,
                     tiles};
        work7(time, &s, 0, time->cout, v);
    }
    return 0;
}

/* `s3d_stem` and `s3d_time7` in one. */
int s3d_stem_time7(const layer *l, const picture *p, const layer *after) {
    long ld = up(l->cout, VL), pieces = (l->out_w + 15) / 16;
    long wide = up((l->out_w + pieces - 1) / pieces, 4);
    long high = most(1, least(STEM_HIGH, cache_floats() / 2 / (l->t * wide * ld)));
    long bands = (l->out_h + high - 1) / high;
    layer time = *after;
    time.ldi = ld;
    int failed = 0;
    pieces = (l->out_w + wide - 1) / wide;
#pragma omp parallel for schedule(dynamic) num_threads(l->threads) reduction(|| : failed)
    for (long i = 0; i < l->b * bands * pieces; i++) {
        long x = i % pieces * wide, y = i / pieces % bands * high;
        band b = {{i / pieces / bands, 0}, 0, y, least(high, l->out_h - y), x,
                  least(wide, l->out_w - x), NULL, high * wide * ld, wide * ld, ld, 0};
        failed = failed || stem_part(l, p, &time, b);
    }
    return failed;
}

/* ---------------------------------------------------------------- pools and gates */

/* The maxima of rows of `wide` places: to[wide][channels]. */
static void largest_rows(const float *const *rows, int count, long ld, long wide, long channels,
                         float *to) {
    for (long x = 0; x < wide; x++)
        for (long c = 0; c < channels; c += VL) {
            if (c + VL > channels && channels >= VL) c = channels - VL;
            long n = channels - c;
            vec v = load_some(rows[0] + x * ld + c, n);
            for (int r = 1; r < count; r++) v = larger(v, load_some(rows[r] + x * ld + c, n));
            store_some(to + x * channels + c, v, n);
        }
}

/* One row of outputs, to out[out_w][ld]; `row` has room for one of inputs. */
static void pool_row(const layer *l, long clip, long t, long y, float *row, float *out, long ld) {
    const float *rows[64];
    int count = 0;
    long t0 = t * l->st - l->pt, y0 = y * l->sh - l->ph;
    for (long i = most(t0, 0); i < least(t0 + l->kt, l->t); i++)
        for (long j = most(y0, 0); j < least(y0 + l->kh, l->h); j++)
            rows[count++] = l->in + ((clip * l->t + i) * l->h + j) * l->w * l->ldi;
    largest_rows(rows, count, l->ldi, l->w, l->cin, row);
    for (long x = 0; x < l->out_w; x++) {
        long from = most(x * l->sw - l->pw, 0), to = least(x * l->sw - l->pw + l->kw, l->w);
        for (long c = 0; c < l->cin; c += VL) {
            if (c + VL > l->cin && l->cin >= VL) c = l->cin - VL;
            long n = l->cin - c;
            vec v = load_some(row + from * l->cin + c, n);
            for (long i = from + 1; i < to; i++)
                v = larger(v, load_some(row + i * l->cin + c, n));
            store_some(out + x * ld + c, v, n);
        }
    }
}

/* Maxima over windows of at most 64 rows; what is padded counts as nothing. */
int s3d_pool(const layer *l) {
    int failed = l->kt * l->kh > 64;
    if (failed) return failed;
#pragma omp parallel for schedule(static) num_threads(l->threads) reduction(|| : failed)
    for (long i = 0; i < l->b * l->out_t * l->out_h; i++) {
        float *row = scratch(l->w * l->cin);
        if (!row) failed = 1;
        else
            pool_row(l, i / l->out_h / l->out_t, i / l->out_h % l->out_t, i % l->out_h, row,
                     l->out + i * l->out_w * l->ldo, l->ldo);
    }
    return failed;
}

/* `s3d_pool` and the 1 x 1 x 1 convolution that alone reads what it gives. */
int s3d_pool_points(const layer *l, const layer *after) {
    long pieces = (l->out_h * l->out_w + 127) / 128, high = (l->out_h + pieces - 1) / pieces;
    int failed = l->kt * l->kh > 64;
    if (failed) return failed;
    pieces = (l->out_h + high - 1) / high;
#pragma omp parallel for schedule(dynamic) num_threads(l->threads) reduction(|| : failed)
    for (long i = 0; i < l->b * l->out_t * pieces; i++) {
        long first = i % pieces * high, count = least(high, l->out_h - first), frame = i / pieces;
        float *row = scratch((l->w + high * l->out_w) * l->cin), *found = row + l->w * l->cin;
        if (!row) {
            failed = 1;
            continue;
        }
        for (long y = 0; y < count; y++)
            pool_row(l, frame / l->out_t, frame % l->out_t, first + y, row,
                     found + y * l->out_w * l->cin, l->cin);
        float *out = after->out + (frame * l->out_h + first) * l->out_w * after->ldo;
        for (long c = 0; c < after->cout; c += NR)
            all_rows(count * l->out_w, panel_vectors(after->cout, c), 1, found, l->cin, l->cin,
                     after->u + c * l->cin, out + c, after->ldo, after->bias + c, how(after),
                     after->cout - c);
    }
    return failed;
}

#define CHUNK 128

/* Sums over the places of each clip, in runs of CHUNK: sums[clip][runs][channels]. In the same order
   whatever the number of threads. */
int s3d_sums(const layer *l, double *sums) {
    long places = l->t * l->h * l->w, runs = (places + CHUNK - 1) / CHUNK;
#pragma omp parallel for schedule(static) num_threads(l->threads)
    for (long i = 0; i < l->b * runs; i++) {
        long first = i % runs * CHUNK, count = least(CHUNK, places - first);
        const float *in = l->in + (i / runs * places + first) * l->ldi;
        for (long c = 0; c < l->cin; c += VL) {
            vec v = {0};
            long n = least(VL, l->cin - c);
            for (long p = 0; p < count; p++) v += load_some(in + p * l->ldi + c, n);
            for (long j = 0; j < n; j++) sums[i * l->cin + c + j] = v[j];
        }
    }
    return 0;
}

/* Multiplies each channel of each clip by its share. */
int s3d_scale(const layer *l, const float *shares) {
    long places = l->t * l->h * l->w;
#pragma omp parallel for schedule(static) num_threads(l->threads)
    for (long i = 0; i < l->b * places; i++) {
        const float *in = l->in + i * l->ldi, *share = shares + i / places * l->cin;
        float *out = l->out + i * l->ldo;
        for (long c = 0; c < l->cin; c++) out[c] = in[c] * share[c];
    }
    return 0;
}
