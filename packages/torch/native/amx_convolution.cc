#include "amx_convolution.h"

#include "factors.h"
#include "scratch.h"

namespace cm {
namespace {

using at::Tensor;

constexpr int64_t TAPS = 9;
/** Outputs at a time: two tiles. */
constexpr int64_t PANEL = 32;
/** Bytes of a band of an image within its border, positions that are summed for at a time, and pairs of them that are summed over. */
constexpr int64_t BAND_BYTES = 512 << 10, POSITIONS = 256, STEPS = 256;

int64_t up_to(int64_t step, int64_t n) { return (n + step - 1) / step * step; }

/**
 * Images are taken in bands of rows, each within a border of zeros: `wide` positions a row, of which the last two, or the first one and the
 * last one, are the border's. What a tap of the filter meets then lies at one distance from every position.
 */
struct Bands {
  int64_t batch, height, width, channels, rows;
  Bands(const Tensor &x, int64_t channels_in_all) : batch(x.size(0)), height(x.size(1)), width(x.size(2)), channels(x.size(3)) {
    const int64_t fitting = BAND_BYTES / (2 * wide() * channels_in_all) - 2;
    // A share for each thread, where there are few.
    const int64_t share = (batch * height + at::get_num_threads() - 1) / at::get_num_threads();
    rows = std::max<int64_t>(1, std::min({fitting, share, height}));
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
  const Bands s(x, x.size(3));
  const int64_t outputs = y.size(3), steps = s.channels / 2, position = s.channels;
  const Offsets offsets(s.wide(), position);
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
      for (int64_t j = 0; j < outputs; j += PANEL) {
        const int64_t many = std::min(PANEL, outputs - j);
        const Pair16 *panel = weights + j * TAPS * steps;
        for (int64_t r = 0; r < band.rows; r += chunk) {
          const int64_t rows = std::min(chunk, band.rows - r);
          AmxRows seen{bordered + r * s.wide() * position, position};
          if (whole) seen.run = s.width / 16, seen.jump = s.wide() * position;
          const int64_t positions = whole ? rows * width : rows * width - 2;
          amx_product(seen, {offsets.at, TAPS, steps * many}, panel, many, sums, many, positions, steps, many, false);
          Y *out = to + (band.image * s.height + band.first + r) * s.width * outputs + j;
          for (int64_t h = 0; h < rows; h++)
            for (int64_t w = 0; w < s.width; w++, out += outputs)
              for (int64_t k = 0; k < many; k += LANES) store(out + k, load(sums + (h * width + w) * many + k));
        }
      }
    }
  });
}

Tensor convolved(const Tensor &x, const Tensor &filter, bool turned) {
  const Tensor y = at::empty({x.size(0), x.size(1), x.size(2), filter.size(turned ? 2 : 3)}, x.options().dtype(image_type(x)));
  const Tensor panels = panels_of(filter, turned);
  by_type(x, [&](auto p) { by_type(y, [&](auto r) { convolve<decltype(p), decltype(r)>(x, panels, y); }); });
  return y;
}

// For each tap, the sum over all positions of an image of what the tap meets there times the gradient: one product each, of the images' transpose,
// where a tap is a distance along the rows, and of the gradient with zeros for the border.
template <typename E, typename G>
Tensor filter_gradient(const Tensor &x, const Tensor &dy) {
  const int64_t outputs = dy.size(3);
  const Bands s(x, x.size(3) + outputs), g(dy, x.size(3) + outputs);
  const int64_t most = up_to(2 * LANES, s.rows * s.wide()), met = up_to(2 * LANES, most + 2 * s.wide() + 2);
  const Offsets offsets(s.wide(), 1);
  const int64_t parts = std::max<int64_t>(1, std::min<int64_t>(at::get_num_threads(), s.count()));
  // Each thread sums over its own share; the sums of all are added in order, so that the result does not depend on timing.
  const Tensor dw = at::empty({parts, 3, 3, s.channels, outputs}, at::dtype(at::kFloat));
  const E *from = values<E>(x);
  const G *gradient = values<G>(dy);
  at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
    const int64_t of_band = (s.rows + 2) * s.wide() * std::max(s.channels, outputs);
    Scratch scratch(2 * (of_band + met * s.channels + most * outputs) + 192);
    BFloat16 *bordered = scratch.take<BFloat16>(of_band);
    Pair16 *across = scratch.take<Pair16>(met / 2 * s.channels), *slopes = scratch.take<Pair16>(most / 2 * outputs);
    for (int64_t part = begin; part < end; part++) {
      const int64_t start = s.count() * part / parts, stop = s.count() * (part + 1) / parts;
      float *to = dw.data_ptr<float>() + part * TAPS * s.channels * outputs;
      for (int64_t i = start; i < stop; i++) {
        const auto band = s[i];
        const int64_t positions = band.rows * s.wide(), steps = up_to(LANES, (positions + 1) / 2);
        lay_bordered(from, s, band, bordered);
        lay_transposed(bordered, s.channels, across, (band.rows + 2) * s.wide(), s.channels, met / 2);
        lay_bordered(gradient, g, band, bordered);
        // Of the gradient's own rows, from the first position of the image on.
        const BFloat16 *own = bordered + (s.wide() + 1) * outputs;
        for (int64_t j = 0; j < outputs; j += PANEL) {
          const int64_t many = std::min(PANEL, outputs - j);
          Pair16 *panel = slopes + j * steps;
          lay_columns(own + j, outputs, panel, positions, many);
          std::fill(panel + (positions + 1) / 2 * many, panel + steps * many, Pair16{});
          for (int64_t p = 0; p < steps; p += STEPS)
            for (int64_t tap = 0; tap < TAPS; tap++)
              amx_product({reinterpret_cast<const BFloat16 *>(across) + offsets.at[tap] + 2 * p, met}, ONE_TAP, panel + p * many, many,
                          to + tap * s.channels * outputs + j, outputs, s.channels, std::min(STEPS, steps - p), many, i > start || p > 0);
        }
      }
    }
  });
  return parts == 1 ? dw[0] : dw.sum(0);
}

}  // namespace

bool amx_convolution_fits(const Tensor &x, int64_t outputs) {
  return AMX && settings().precision == Precision::bfloat16 && is_typed(x) && x.dim() == 4 && x.numel() > 0 && x.size(3) % 16 == 0 && outputs > 0 &&
         outputs % 16 == 0;
}

Tensor amx_convolution(const Tensor &x, const Tensor &filter) { return convolved(x, filter, false); }
Tensor amx_input_gradient(const Tensor &dy, const Tensor &filter) { return convolved(dy, filter, true); }

Tensor amx_filter_gradient(const Tensor &x, const Tensor &dy) {
  Tensor dw;
  by_type(x, [&](auto p) { by_type(dy, [&](auto q) { dw = filter_gradient<decltype(p), decltype(q)>(x, dy); }); });
  return dw;
}

}  // namespace cm
