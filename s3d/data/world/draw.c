/* Draws the frames of a world of flat shapes, and where each of their points goes.
 *
 * A shape is 24 floats, laid out as s3d/data/world/strokes.py says. Its matrix maps its own
 * coordinates (u, v) to pixels; the same shape in the next frame says where a point goes.
 */
#pragma GCC optimize("fast-math")
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { KIND, CX, CY, AX, AY, BX, BY, P0, P1, P2, TEXTURE, SCALE, OX, OY, DARK, LIGHT = 17,
       OPACITY = 20, LX, LY, OWNER, FIELDS };
enum { NOTHING = -1, PLANE, LIMB, ROUND, BOX, DIAMOND, BLOB, RING, WEDGE };
#define SIDE 64 /* of a texture */
#define CHANNELS 4 /* of flow: x, y, speed past the background, share of the actor */

typedef struct { float cx, cy, ax, ay, bx, by; } Pose;

static float texture_at(const float *bank, int id, float x, float y) {
    const float *t = bank + (size_t)id * SIDE * SIDE;
    float fx = floorf(x), fy = floorf(y);
    int x0 = (int)fx & (SIDE - 1), y0 = (int)fy & (SIDE - 1);
    int x1 = (x0 + 1) & (SIDE - 1), y1 = (y0 + 1) & (SIDE - 1);
    float a = x - fx, b = y - fy;
    float top = t[y0 * SIDE + x0] * (1 - a) + t[y0 * SIDE + x1] * a;
    float low = t[y1 * SIDE + x0] * (1 - a) + t[y1 * SIDE + x1] * a;
    return top * (1 - b) + low * b;
}

/* How far outside a shape a point is, in shares of its size: below 0 inside. */
static float outside(int kind, const float *s, float u, float v) {
    switch (kind) {
    case ROUND: return sqrtf(u * u + v * v) - 1;
    case BOX: return fmaxf(fabsf(u), fabsf(v)) - 1;
    case DIAMOND: return (fabsf(u) + fabsf(v) - 1) * 0.7071f;
    case RING: return fabsf(sqrtf(u * u + v * v) - 1 + s[P0]) - s[P0];
    case WEDGE: {
        float r = sqrtf(u * u + v * v) + 1e-6f;
        float gap = (u / r - cosf(s[P0])) * r;
        return fmaxf(r - 1, s[P0] > 0.02f ? gap : -1);
    }
    default: {
        float r = sqrtf(u * u + v * v) + 1e-6f, x = u / r, y = v / r, re = 1, im = 0;
        for (int k = (int)s[P0]; k > 0; k--) {
            float next = re * x - im * y;
            im = re * y + im * x;
            re = next;
        }
        return (r - 1 / (1 + s[P1]) * (1 + s[P1] * (re * cosf(s[P2]) - im * sinf(s[P2])))) ;
    }
    }
}

static Pose pose_between(const float *now, const float *next, float share) {
    Pose p;
    float *out = (float *)&p;
    for (int i = 0; i < 6; i++) out[i] = now[CX + i] + share * (next[CX + i] - now[CX + i]);
    return p;
}

static void draw_shape(const float *s, const float *next, float share, int with_flow,
                       const float *bank, int height, int width, float *image, float *flow) {
    int kind = (int)s[KIND];
    float opacity = s[OPACITY] + share * (next[OPACITY] - s[OPACITY]);
    if (kind == NOTHING || opacity < 0.004f) return;
    Pose p = pose_between(s, next, share), q = pose_between(s, next, 1);
    float la = sqrtf(p.ax * p.ax + p.ay * p.ay), lb = sqrtf(p.bx * p.bx + p.by * p.by);
    float det = p.ax * p.by - p.ay * p.bx;
    if (fabsf(det) < 1e-4f || la < 1e-3f || lb < 1e-3f) return;
    int x0 = 0, x1 = width - 1, y0 = 0, y1 = height - 1;
    if (kind != PLANE) {
        float ex = fabsf(p.ax) + fabsf(p.bx), ey = fabsf(p.ay) + fabsf(p.by);
        if (kind == LIMB) { ex = fabsf(p.ax) + lb; ey = fabsf(p.ay) + lb; }
        if (!(ex < 1e4f && ey < 1e4f && fabsf(p.cx) < 1e4f && fabsf(p.cy) < 1e4f)) return;
        x0 = (int)fmaxf(x0, floorf(p.cx - ex - 1)); x1 = (int)fminf(x1, ceilf(p.cx + ex + 1));
        y0 = (int)fmaxf(y0, floorf(p.cy - ey - 1)); y1 = (int)fminf(y1, ceilf(p.cy + ey + 1));
    }
    float inv = 1 / det, least = fminf(la, lb);
    int texture = (int)s[TEXTURE];
    for (int y = y0; y <= y1; y++) {
        for (int x = x0; x <= x1; x++) {
            float dx = x + 0.5f - p.cx, dy = y + 0.5f - p.cy, u, v, cover = 1;
            if (kind == LIMB) {
                u = (dx * p.ax + dy * p.ay) / (la * la);
                float along = fmaxf(-1, fminf(1, u));
                float ex = dx - along * p.ax, ey = dy - along * p.ay;
                float far = sqrtf(ex * ex + ey * ey);
                float radius = lb * (1 + (s[P0] - 1) * 0.5f * (along + 1));
                v = (ex * p.bx + ey * p.by) / (lb * lb);
                cover = radius - far + 0.5f;
            } else {
                u = (dx * p.by - dy * p.bx) * inv;
                v = (dy * p.ax - dx * p.ay) * inv;
                if (kind != PLANE) cover = 0.5f - outside(kind, s, u, v) * least;
            }
            if (cover <= 0) continue;
            float alpha = opacity * (cover < 1 ? cover : 1);
            float t = texture_at(bank, texture, u * s[SCALE] + s[OX], v * s[SCALE] + s[OY]);
            float shade = 1 + s[LX] * u + s[LY] * v;
            if (kind == PLANE) shade = 1;
            float *to = image + 3 * (y * width + x);
            for (int c = 0; c < 3; c++) {
                float colour = (s[DARK + c] + (s[LIGHT + c] - s[DARK + c]) * t) * shade;
                to[c] += alpha * (colour - to[c]);
            }
            if (!with_flow || alpha < 0.5f) continue;
            float *f = flow + 5 * (y * width + x);
            if (kind == LIMB) {
                float ln = sqrtf(q.ax * q.ax + q.ay * q.ay) + 1e-6f;
                float side = v * lb; /* px across: a limb's width does not change where it goes */
                float nx = -q.ay / ln, ny = q.ax / ln;
                if (p.bx * -p.ay + p.by * p.ax < 0) { nx = -nx; ny = -ny; }
                f[0] = q.cx + u * q.ax + side * nx - (x + 0.5f);
                f[1] = q.cy + u * q.ay + side * ny - (y + 0.5f);
            } else {
                f[0] = q.cx + u * q.ax + v * q.bx - (x + 0.5f);
                f[1] = q.cy + u * q.ay + v * q.by - (y + 0.5f);
            }
            f[2] = s[OWNER];
            if (kind == PLANE) { f[3] = f[0]; f[4] = f[1]; }
        }
    }
}

/* Mean of what is known of each pixel over cells of `cell` px, into (H / cell, W / cell, 4). */
static void pool(const float *flow, int height, int width, int cell, float *grid) {
    int across = width / cell, down = height / cell;
    memset(grid, 0, sizeof(float) * CHANNELS * across * down);
    for (int y = 0; y < down * cell; y++)
        for (int x = 0; x < across * cell; x++) {
            const float *f = flow + 5 * (y * width + x);
            float *g = grid + CHANNELS * ((y / cell) * across + x / cell);
            float rx = f[0] - f[3], ry = f[1] - f[4];
            g[0] += f[0]; g[1] += f[1];
            g[2] += sqrtf(rx * rx + ry * ry);
            g[3] += f[2] > 1.5f;
        }
    float share = 1.0f / (cell * cell);
    for (int i = 0; i < CHANNELS * across * down; i++) grid[i] *= share;
}

/* Draw frames (T, H, W, 3) from shapes (T + 1, N, FIELDS), and grids (T, H / cell, W / cell, 4).
 * The first `ground` shapes are drawn once for as long as they do not change. joined[t] is 0 where
 * frame t + 1 is of another shot. Returns 0, or 1 without memory. */
int draw_frames(const float *shapes, int frames, int count, int ground, const uint8_t *joined,
                const float *bank, int height, int width, int parts, float shutter, int cell,
                float *image, float *grid) {
    size_t pixels = (size_t)height * width, row = (size_t)count * FIELDS;
    size_t ground_bytes = sizeof(float) * ground * FIELDS;
    float *room = malloc(sizeof(float) * (3 + 5 + 3 + 5) * pixels);
    if (!room) return 1;
    float *part = room, *flow = part + 3 * pixels;
    float *ground_image = flow + 5 * pixels, *ground_flow = ground_image + 3 * pixels;
    const float *kept = NULL;
    for (int t = 0; t < frames; t++) {
        const float *now = shapes + t * row, *next = joined[t] ? now + row : now;
        float *to = image + (size_t)t * 3 * pixels;
        int is_still = !memcmp(now, next, ground_bytes);
        if (parts > 1) memset(to, 0, sizeof(float) * 3 * pixels);
        for (int k = 0; k < parts; k++) {
            float *into = parts == 1 ? to : part, share = shutter * k / parts;
            if (!(kept && is_still && !memcmp(now, kept, ground_bytes))) {
                memset(ground_image, 0, sizeof(float) * 3 * pixels);
                if (k == 0) memset(ground_flow, 0, sizeof(float) * 5 * pixels);
                for (int n = 0; n < ground; n++)
                    draw_shape(now + n * FIELDS, next + n * FIELDS, share, k == 0, bank, height,
                               width, ground_image, ground_flow);
                kept = is_still ? now : NULL;
            }
            memcpy(into, ground_image, sizeof(float) * 3 * pixels);
            if (k == 0) memcpy(flow, ground_flow, sizeof(float) * 5 * pixels);
            for (int n = ground; n < count; n++)
                draw_shape(now + n * FIELDS, next + n * FIELDS, share, k == 0, bank, height, width,
                           into, flow);
            if (parts > 1)
                for (size_t i = 0; i < 3 * pixels; i++) to[i] += part[i] / parts;
        }
        pool(flow, height, width, cell,
             grid + (size_t)t * CHANNELS * (height / cell) * (width / cell));
    }
    free(room);
    return 0;
}

static uint32_t draw_random(uint32_t *state) {
    uint32_t x = *state;
    x ^= x << 13; x ^= x >> 17; x ^= x << 5;
    return *state = x;
}

static void blur(float *plane, int height, int width, float amount, float *row) {
    float side = amount / 3, middle = 1 - 2 * side;
    for (int y = 0; y < height; y++)
        for (int c = 0; c < 3; c++) {
            float before = plane[3 * y * width + c];
            for (int x = 0; x < width; x++) {
                float *at = plane + 3 * (y * width + x) + c, now = *at;
                float after = x + 1 < width ? at[3] : now;
                *at = side * (before + after) + middle * now;
                before = now;
            }
        }
    memcpy(row, plane, sizeof(float) * 3 * width);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < 3 * width; x++) {
            float *at = plane + 3 * y * width + x, now = *at;
            float after = y + 1 < height ? at[3 * width] : now;
            *at = side * (row[x] + after) + middle * now;
            row[x] = now;
        }
}

/* Rounds 8 x 8 blocks' waves to steps that grow with their frequency, as a codec does. */
static void squeeze(float *image, int height, int width, float step, const float *waves) {
    float block[64], half[64];
    for (int by = 0; by + 8 <= height; by += 8)
        for (int bx = 0; bx + 8 <= width; bx += 8)
            for (int c = 0; c < 3; c++) {
                for (int i = 0; i < 64; i++)
                    block[i] = image[3 * ((by + i / 8) * width + bx + i % 8) + c];
                for (int k = 0; k < 8; k++)
                    for (int x = 0; x < 8; x++) {
                        float sum = 0;
                        for (int y = 0; y < 8; y++) sum += waves[8 * k + y] * block[8 * y + x];
                        half[8 * k + x] = sum;
                    }
                for (int k = 0; k < 8; k++)
                    for (int m = 0; m < 8; m++) {
                        float sum = 0, size = step * (1 + 0.5f * (k + m));
                        for (int x = 0; x < 8; x++) sum += waves[8 * m + x] * half[8 * k + x];
                        block[8 * k + m] = roundf(sum / size) * size;
                    }
                for (int k = 0; k < 8; k++)
                    for (int x = 0; x < 8; x++) {
                        float sum = 0;
                        for (int m = 0; m < 8; m++) sum += waves[8 * m + x] * block[8 * k + m];
                        half[8 * k + x] = sum;
                    }
                for (int y = 0; y < 8; y++)
                    for (int x = 0; x < 8; x++) {
                        float sum = 0;
                        for (int k = 0; k < 8; k++) sum += waves[8 * k + y] * half[8 * k + x];
                        image[3 * ((by + y) * width + bx + x) + c] = sum;
                    }
            }
}

/* Film frames (T, H, W, 3) of 0..1: blur, exposure, noise, compression; into bytes.
 * gains is (T, 2): a factor, and what is added. Returns 0, or 1. */
int film_frames(float *image, int frames, int height, int width, float blurred, const float *gains,
                float noise, float grey, float step, uint32_t seed, uint8_t *bytes) {
    size_t values = (size_t)3 * height * width;
    float *row = malloc(sizeof(float) * 3 * width), waves[64];
    if (!row) return 1;
    for (int k = 0; k < 8; k++)
        for (int x = 0; x < 8; x++)
            waves[8 * k + x] = cosf(3.14159265f * k * (2 * x + 1) / 16) * (k ? 0.5f : 0.35355339f);
    uint32_t state = seed | 1;
    for (int t = 0; t < frames; t++) {
        float *plane = image + t * values;
        for (float left = blurred; left > 0; left -= 1)
            blur(plane, height, width, fminf(left, 1), row);
        float factor = gains[2 * t], more = gains[2 * t + 1];
        for (size_t i = 0; i < values; i += 3) {
            float luma = 0.299f * plane[i] + 0.587f * plane[i + 1] + 0.114f * plane[i + 2];
            for (int c = 0; c < 3; c++) {
                float value = plane[i + c] + grey * (luma - plane[i + c]);
                value = value * factor + more;
                uint32_t word = draw_random(&state);
                float two = (float)(word & 0xffff) + (float)(word >> 16);
                plane[i + c] = value + noise * (two / 65536.0f - 1);
            }
        }
        if (step > 0) squeeze(plane, height, width, step, waves);
        for (size_t i = 0; i < values; i++) {
            float value = plane[i] * 255 + 0.5f;
            bytes[t * values + i] = value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value;
        }
    }
    free(row);
    return 0;
}
