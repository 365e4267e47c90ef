#include "amx_convolution.h"

#include "factors.h"
#include "scratch.h"

namespace cm {

using at::Tensor;

#ifdef CM_AMX
namespace {

constexpr int64_t TAPS = 9;
/** Outputs at a time: two tiles, or one of the last ones. */
constexpr int64_t PANEL = 2 * LANES;
/** Positions that sums are computed of at a time, over pairs of channels of which all taps of a panel lie in the first-level cache. */
constexpr int64_t POSITIONS = 1024, STEPS = 32;
/** Pairs of positions that a filter's gradient sums over at a time in each of several bands, and bytes of all that is laid out of those. */
constexpr int64_t SUMMED = 288, GROUP_BYTES = 1536 << 10, LARGE = 4 << 20;

/**
 * Images are taken in bands of rows, each within a border of zeros: `wide` positions a row, of which the first and the last one are the border's.
 * What a tap of the filter meets then lies at one distance from every position.
 */
struct Bands {
  int64_t batch, height, width, channels, rows;
  /** `most` rows at most, and fewer where there are fewer than each thread could have. */
  Bands(const Tensor &x, int64_t most) : batch(x.size(0)), height(x.size(1)), width(x.size(2)), channels(x.size(3)) {
    const int64_t share = (batch * height + at::get_num_threads() - 1) / at::get_num_threads();
    rows = std::min({most, share, height});
  }
  int64_t wide() const { return width + 2; }
  int64_t per_image() const { return (height + rows - 1) / rows; }
  int64_t count() const { return batch * per_image(); }
  struct Band {
    int64_t image, first, rows;
  };
  Band operator[](int64_t i) const {
    const int64_t first = i % per_image() * rows;
    return {i / per_image(), first, std::min(rows, height - first)};
  }
};

/** Rows of an image within its border that hold as many bytes as asked for, of bfloat16, but not fewer than `least`. */
int64_t rows_within(int64_t bytes, const Tensor &x, int64_t channels, int64_t least) {
  return std::max(least, bytes / (2 * (x.size(2) + 2) * channels) - 2);
}

template <typename E>
void copy(const E *from, int64_t count, BFloat16 *to) {
  if constexpr (std::is_same_v<E, BFloat16>) std::copy_n(from, count, to);
  else fill_row(to, count, [=](auto at) { return at(from); });
}

/** A band and the rows before and after it, each between two positions of zeros, as bfloat16. */
template <typename E>
void lay_bordered(const E *images, const Bands &s, const Bands::Band &band, BFloat16 *to) {
  const int64_t row = s.width * s.channels;
  for (int64_t h = band.first - 1; h <= band.first + band.rows; h++, to += s.wide() * s.channels) {
    const bool inside = h >= 0 && h < s.height;
    std::fill_n(to, inside ? s.channels : row + 2 * s.channels, BFloat16{});
    if (!inside) continue;
    copy(images + (band.image * s.height + h) * row, row, to + s.channels);
    std::fill_n(to + s.channels + row, s.channels, BFloat16{});
  }
}

/** Distances, in numbers, from the position before and above one to those of the taps. */
struct Offsets {
  int64_t at[TAPS];
  Offsets(int64_t wide, int64_t position) {
    for (int64_t tap = 0; tap < TAPS; tap++) at[tap] = (tap / 3 * wide + tap % 3) * position;
  }
};

/** A filter [3, 3, depth, columns] in panels of [9, pairs of depth, PANEL], or, `turned`, one [3, 3, columns, depth] with its taps in reverse. */
Tensor panels_of(const Tensor &filter, bool turned) {
  const Tensor whole = filter.to(at::kFloat).contiguous();
  const int64_t depth = whole.size(turned ? 3 : 2), columns = whole.size(turned ? 2 : 3), steps = depth / 2;
  const Tensor panels = at::empty({TAPS, steps, columns}, whole.options());
  const float *from = whole.data_ptr<float>();
  Pair16 *to = room<Pair16>(panels);
  at::parallel_for(0, (columns + PANEL - 1) / PANEL * TAPS, std::max<int64_t>(1, GRAIN / (depth * PANEL)), [=](int64_t first, int64_t end) {
    for (int64_t i = first; i < end; i++) {
      const int64_t j = i / TAPS * PANEL, tap = i % TAPS, many = std::min(PANEL, columns - j);
      Pair16 *panel = to + j * TAPS * steps + tap * steps * many;
      if (turned) lay_rows(from + ((TAPS - 1 - tap) * columns + j) * depth, depth, panel, depth, many);
      else lay_columns(from + tap * depth * columns + j, columns, panel, depth, many);
    }
  });
  return panels;
}

template <typename E, typename Y>
void convolve(const Tensor &x, const Tensor &panels, const Tensor &y) {
  const Bands s(x, rows_within(512 << 10, x, x.size(3), 1));
  const int64_t outputs = y.size(3), steps = s.channels / 2;
  const Offsets offsets(s.wide(), s.channels);
  // Tiles take rows of an image, or where those are not made of whole tiles, all positions, of which the border's are then left out.
  const bool whole = s.width % 16 == 0;
  const int64_t width = whole ? s.width : s.wide();
  const int64_t chunk = std::max<int64_t>(1, POSITIONS / width);
  const E *from = values<E>(x);
  const Pair16 *weights = values<Pair16>(panels);
  Y *to = room<Y>(y);
  at::parallel_for(0, s.count(), 1, [&](int64_t begin, int64_t end) {
    const int64_t of_band = (s.rows + 2) * s.wide() * s.channels;
    Scratch scratch(2 * of_band + 4 * chunk * width * PANEL + 128);
    BFloat16 *bordered = scratch.take<BFloat16>(of_band);
    float *sums = scratch.take(chunk * width * PANEL);
    for (int64_t i = begin; i < end; i++) {
      const auto band = s[i];
      lay_bordered(from, s, band, bordered);
      for (int64_t r = 0; r < band.rows; r += chunk) {
        const int64_t rows = std::min(chunk, band.rows - r), positions = whole ? rows * width : rows * width - 2;
        for (int64_t j = 0; j < outputs; j += PANEL) {
          const int64_t many = std::min(PANEL, outputs - j);
          const Pair16 *panel = weights + j * TAPS * steps;
          Y *out = to + (band.image * s.height + band.first + r) * s.width * outputs + j;
          // Sums are written where they belong while the next ones are computed.
          const AmxDone put = [&](int64_t at, int64_t) {
            int64_t w = at % width;
            Y *pixel = out + (at / width * s.width + std::min(w, s.width)) * outputs;
            for (int64_t p = at; p < std::min(at + 32, positions); p++) {
              if (w < s.width) {
                const float *sum = sums + p * many;
                if (many == PANEL) store(pixel, load(sum), load(sum + LANES));
                else store(pixel, load(sum));
                pixel += outputs;
              }
              if (++w == width) w = 0;
            }
          };
          const AmxDone nothing;
          for (int64_t d = 0; d < steps; d += STEPS) {
            AmxRows seen{bordered + r * s.wide() * s.channels + 2 * d, s.channels};
            if (whole) seen.run = s.width / 16, seen.jump = s.wide() * s.channels;
            amx_product(seen, {offsets.at, TAPS, steps * many}, panel + d * many, many, sums, many, positions, std::min(STEPS, steps - d), many, d > 0,
                        d + STEPS < steps ? nothing : put);
          }
        }
      }
    }
  });
}

bool fits(const Tensor &x, int64_t outputs) {
  return AMX && settings().precision == Precision::bfloat16 && is_typed(x) && x.dim() == 4 && x.numel() > 0 && x.size(3) % 16 == 0 && outputs > 0 &&
         outputs % 16 == 0;
}

Tensor convolved(const Tensor &image, const Tensor &filter, bool turned) {
  if (!fits(image, filter.size(turned ? 2 : 3))) return {};
  const Tensor x = image.contiguous();
  const Tensor y = at::empty({x.size(0), x.size(1), x.size(2), filter.size(turned ? 2 : 3)}, x.options().dtype(image_type(x)));
  const Tensor panels = panels_of(filter, turned);
  by_type(x, [&](auto p) { by_type(y, [&](auto r) { convolve<decltype(p), decltype(r)>(x, panels, y); }); });
  return y;
}

// For each tap, the sum over all positions of an image of the gradient there times what the tap meets: one product each, of the gradient's transpose,
// with zeros for the border, and of the image in pairs of positions, where a tap is a distance in pairs, from an even position or from an odd one.
template <typename E, typename G>
Tensor filter_gradient(const Tensor &x, const Tensor &dy) {
  const int64_t outputs = dy.size(3);
  const int64_t rows = rows_within(512 << 10, x, 2 * x.size(3) + outputs, 8);
  const Bands s(x, rows), g(dy, rows);
  const int64_t channels = s.channels, most = up_to(LANES, (s.rows * s.wide() + 1) / 2), met = most + s.wide() + 1;
  // Threads share out the images, and each sums over its own; the sums of all are added in order, so that the result does not depend on timing. Of large
  // filters they share out the channels: to write and to add many such sums would take longer than to lay all gradients out in each.
  const int64_t threads = at::get_num_threads(), panels = (channels + PANEL - 1) / PANEL;
  const bool by_channels = TAPS * channels * outputs * 4 > LARGE && panels >= threads;
  const int64_t parts = by_channels ? 1 : std::min(threads, s.count()), tasks = by_channels ? threads : parts, share = (s.count() + parts - 1) / parts;
  const int64_t of_images = (s.rows + 2) * s.wide() * channels, of_gradients = (s.rows + 2) * s.wide() * outputs;
  const int64_t group = std::max<int64_t>(1, std::min(share, GROUP_BYTES / (2 * of_images + 4 * most * outputs)));
  const Offsets offsets(s.wide(), 1);
  const Tensor sums = at::empty({parts, TAPS, outputs, channels}, at::dtype(at::kFloat));
  const E *from = values<E>(x);
  const G *gradient = values<G>(dy);
  at::parallel_for(0, tasks, 1, [&](int64_t begin, int64_t end) {
    Scratch scratch(2 * (group * of_images + of_gradients) + 4 * group * (most * outputs + 2 * met * PANEL) + 256);
    BFloat16 *images = scratch.take<BFloat16>(group * of_images), *gradients = scratch.take<BFloat16>(of_gradients);
    Pair16 *slopes = scratch.take<Pair16>(group * most * outputs), *pairs = scratch.take<Pair16>(group * 2 * met * PANEL);
    std::vector<int64_t> starts(static_cast<size_t>(group));
    for (int64_t n = 0; n < group; n++) starts[static_cast<size_t>(n)] = n * 2 * most * outputs;
    for (int64_t task = begin; task < end; task++) {
      const int64_t part = by_channels ? 0 : task, start = s.count() * part / parts, stop = s.count() * (part + 1) / parts;
      const int64_t first = by_channels ? panels * task / tasks * PANEL : 0, last = by_channels ? std::min(channels, panels * (task + 1) / tasks * PANEL) : channels;
      float *to = sums.data_ptr<float>() + part * TAPS * outputs * channels;
      for (int64_t i = start; i < stop; i += group) {
        const int64_t count = std::min(group, stop - i);
        for (int64_t n = 0; n < count; n++) {
          const auto band = s[i + n];
          lay_bordered(from, s, band, images + n * of_images);
          lay_bordered(gradient, g, band, gradients);
          // From the band's own first position on.
          lay_transposed(gradients + (s.wide() + 1) * outputs, outputs, slopes + n * most * outputs, band.rows * s.wide(), outputs, most);
        }
        for (int64_t j = first; j < last; j += PANEL) {
          const int64_t many = std::min(PANEL, channels - j);
          for (int64_t n = 0; n < count; n++)
            for (int64_t odd = 0; odd < 2; odd++) {
              const int64_t depth = (s[i + n].rows + 2) * s.wide() - odd;
              lay_columns(images + n * of_images + odd * channels + j, channels, pairs + (2 * n + odd) * met * many, depth, many, met);
            }
          for (int64_t p = 0; p < most; p += SUMMED)
            for (int64_t tap = 0; tap < TAPS; tap++) {
              const int64_t offset = offsets.at[tap];
              amx_product({reinterpret_cast<const BFloat16 *>(slopes + p), 2 * most}, {starts.data(), count, 2 * met * many},
                          pairs + (offset % 2 * met + p + offset / 2) * many, many, to + tap * outputs * channels + j, channels, outputs,
                          std::min(SUMMED, most - p), many, i > start || p > 0);
            }
        }
      }
    }
  });
  const Tensor sum = parts == 1 ? sums[0] : sums.sum(0), dw = at::empty({3, 3, channels, outputs}, sum.options());
  at::parallel_for(0, TAPS, 1, [&](int64_t begin, int64_t end) {
    for (int64_t tap = begin; tap < end; tap++)
      lay_rows(values<float>(sum) + tap * outputs * channels, channels, room<float>(dw) + tap * channels * outputs, channels, outputs);
  });
  return dw;
}

}  // namespace

Tensor amx_convolution(const Tensor &x, const Tensor &filter) { return convolved(x, filter, false); }
Tensor amx_input_gradient(const Tensor &dy, const Tensor &filter) { return convolved(dy, filter, true); }

Tensor amx_filter_gradient(const Tensor &x, const Tensor &dy) {
  Tensor dw;
  if (!fits(x, dy.size(3)) || !is_typed(dy)) return dw;
  by_type(x, [&](auto p) { by_type(dy, [&](auto q) { dw = filter_gradient<decltype(p), decltype(q)>(x.contiguous(), dy.contiguous()); }); });
  return dw;
}
#else
Tensor amx_convolution(const Tensor &, const Tensor &) { return {}; }
Tensor amx_input_gradient(const Tensor &, const Tensor &) { return {}; }
Tensor amx_filter_gradient(const Tensor &, const Tensor &) { return {}; }
#endif

}  // namespace cm
