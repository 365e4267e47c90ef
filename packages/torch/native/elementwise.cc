// Element by element: tfjs's unary and binary operations, selection, types. Shapes broadcast as in NumPy.
#include "call.h"

namespace cm {
namespace {

Tensor as_float(const Tensor &x) { return at::isFloatingType(x.scalar_type()) || x.is_complex() ? x : x.to(at::kFloat); }
Tensor as_bool(const Tensor &x) { return x.to(at::kBool); }
/** Arithmetic has no booleans. */
Tensor as_number(const Tensor &x) { return x.scalar_type() == at::kBool ? x.to(at::kInt) : x; }
bool is_whole(const Tensor &x) { return at::isIntegralType(x.scalar_type(), true); }

#define UNARY(name, value)             \
  KERNEL(name) {                       \
    const Tensor x = in.tensor();      \
    out.tensor(value);                 \
  }
/** Of real numbers: whole ones become float32 first. */
#define UNARY_REAL(name, value)             \
  KERNEL(name) {                            \
    const Tensor x = as_float(in.tensor()); \
    out.tensor(value);                      \
  }
/** Leaves whole numbers as they are. */
#define UNARY_ROUNDING(name, value)          \
  KERNEL(name) {                             \
    const Tensor x = in.tensor();            \
    out.tensor(is_whole(x) ? x : (value));   \
  }

UNARY(Abs, at::abs(as_number(x)))
UNARY(Neg, at::neg(as_number(x)))
UNARY(Square, x * x)
UNARY(Sign, at::sign(as_number(x)))
UNARY(Relu, at::relu(as_number(x)))
UNARY(Relu6, at::clamp(as_number(x), 0, 6))
UNARY(LogicalNot, at::logical_not(as_bool(x)))
UNARY(IsNan, at::isnan(x))
UNARY(IsInf, at::isinf(x))
UNARY(IsFinite, at::isfinite(x))
UNARY_ROUNDING(Ceil, at::ceil(x))
UNARY_ROUNDING(Floor, at::floor(x))
UNARY_ROUNDING(Round, at::round(x))
UNARY_REAL(Acos, at::acos(x))
UNARY_REAL(Acosh, at::acosh(x))
UNARY_REAL(Asin, at::asin(x))
UNARY_REAL(Asinh, at::asinh(x))
UNARY_REAL(Atan, at::atan(x))
UNARY_REAL(Atanh, at::atanh(x))
UNARY_REAL(Cos, at::cos(x))
UNARY_REAL(Cosh, at::cosh(x))
UNARY_REAL(Elu, at::elu(x))
UNARY_REAL(Erf, at::erf(x))
UNARY_REAL(Exp, at::exp(x))
UNARY_REAL(Expm1, at::expm1(x))
UNARY_REAL(Log, at::log(x))
UNARY_REAL(Log1p, at::log1p(x))
UNARY_REAL(Reciprocal, at::reciprocal(x))
UNARY_REAL(Rsqrt, at::rsqrt(x))
UNARY_REAL(Selu, at::selu(x))
UNARY_REAL(Sigmoid, at::sigmoid(x))
UNARY_REAL(Sin, at::sin(x))
UNARY_REAL(Sinh, at::sinh(x))
UNARY_REAL(Softplus, at::softplus(x))
UNARY_REAL(Sqrt, at::sqrt(x))
UNARY_REAL(Tan, at::tan(x))
UNARY_REAL(Tanh, at::tanh(x))

KERNEL(Step) {
  const Tensor x = as_number(in.tensor());
  const Tensor stepped = at::where(x > 0, at::ones_like(x), at::full_like(x, in.number()));
  out.tensor(is_whole(x) ? stepped : at::where(at::isnan(x), x, stepped));
}

KERNEL(ClipByValue) {
  const Tensor x = in.tensor();
  const double low = in.number(), high = in.number();
  out.tensor(at::clamp(x, low, high).to(x.scalar_type()));
}

KERNEL(LeakyRelu) {
  const Tensor x = as_float(in.tensor());
  out.tensor(at::leaky_relu(x, in.number()));
}

KERNEL(Prelu) {
  const Tensor x = in.tensor(), alpha = in.tensor();
  out.tensor(at::where(x < 0, alpha * x, x));
}

KERNEL(EluGrad) {
  const Tensor dy = in.tensor(), y = in.tensor();
  out.tensor(at::where(y >= 0, dy, dy * (y + 1)));
}

#define BINARY(name, value)                            \
  KERNEL(name) {                                       \
    const Tensor a = in.tensor(), b = in.tensor();     \
    out.tensor(value);                                 \
  }
#define BINARY_NUMBER(name, value)                                             \
  KERNEL(name) {                                                               \
    const Tensor a = as_number(in.tensor()), b = as_number(in.tensor());       \
    out.tensor(value);                                                         \
  }

/** What a whole number divided by 0 is: 0, as a typed array's cell makes of ∞ and NaN. ATen stops the process or throws. */
template <typename F>
Tensor whole_division(const Tensor &a, const Tensor &b, F divide) {
  if (!is_whole(a) || !is_whole(b)) return divide(a, b);
  const Tensor zero = b == 0;
  const Tensor quotient = divide(a, at::where(zero, at::ones_like(b), b));
  return at::where(zero, at::zeros_like(quotient), quotient);
}

Tensor power(const Tensor &a, const Tensor &b) {
  // ATen refuses negative whole exponents, tfjs truncates.
  return is_whole(a) && is_whole(b) ? at::pow(a.to(at::kDouble), b.to(at::kDouble)).to(at::kInt) : at::pow(a, b);
}

/** Gradients of an image that goes two ways are added: as they are held, where both are bfloat16. */
KERNEL(Add) {
  const Tensor &p = in.held(), &q = in.held();
  if (p.scalar_type() == at::kBFloat16 && p.sizes() == q.sizes() && p.scalar_type() == q.scalar_type()) return out.tensor(p + q);
  const Tensor a = as_number(Arguments::widened(p)), b = as_number(Arguments::widened(q));
  out.tensor(a + b);
}
BINARY_NUMBER(Sub, a - b)
BINARY(Multiply, a *b)
BINARY_NUMBER(RealDiv, at::div(a, b))
BINARY_NUMBER(FloorDiv, whole_division(a, b, [](const Tensor &a, const Tensor &b) { return at::div(a, b, "floor"); }))
BINARY_NUMBER(Mod, whole_division(a, b, [](const Tensor &a, const Tensor &b) { return at::remainder(a, b); }))
BINARY_NUMBER(Maximum, at::maximum(a, b))
BINARY_NUMBER(Minimum, at::minimum(a, b))
BINARY_NUMBER(Pow, power(a, b))
BINARY_NUMBER(SquaredDifference, at::square(a - b))
BINARY(Atan2, at::atan2(as_float(a), as_float(b)))
BINARY(Equal, a == b)
BINARY(NotEqual, a != b)
BINARY(Greater, a > b)
BINARY(GreaterEqual, a >= b)
BINARY(Less, a < b)
BINARY(LessEqual, a <= b)
BINARY(LogicalAnd, at::logical_and(a, b))
BINARY(LogicalOr, at::logical_or(a, b))
BINARY(LogicalXor, at::logical_xor(a, b))
BINARY(BitwiseAnd, at::bitwise_and(a, b))

KERNEL(AddN) {
  const auto list = in.tensors();
  Tensor sum = list.at(0);
  for (size_t i = 1; i < list.size(); i++) sum = sum + list[i];
  out.tensor(sum);
}

KERNEL(Select) {
  Tensor condition = as_bool(in.tensor());
  const Tensor yes = in.tensor(), no = in.tensor();
  // A vector of conditions chooses rows.
  if (condition.dim() == 1 && yes.dim() > 1) {
    std::vector<int64_t> shape(yes.dim(), 1);
    shape[0] = condition.size(0);
    condition = condition.view(shape);
  }
  out.tensor(at::where(condition, yes, no));
}

KERNEL(Cast) {
  const Tensor x = in.tensor();
  const auto to = scalar_type(in.integer());
  if (to == x.scalar_type()) return out.tensor(x);
  if (to == at::kInt && at::isFloatingType(x.scalar_type())) {
    // A NaN becomes 0, and the fraction is dropped.
    return out.tensor(at::where(at::isnan(x), at::zeros_like(x), x).to(at::kLong).to(at::kInt));
  }
  if (x.is_complex() && to != at::kComplexFloat) return out.tensor(at::real(x).to(to));
  out.tensor(x.to(to));
}

KERNEL(Fill) {
  const auto shape = in.integers();
  const double value = in.number();
  out.tensor(at::full(shape, value, options(scalar_type(in.integer()))));
}

KERNEL(ZerosLike) { out.tensor(at::zeros_like(in.tensor(), at::MemoryFormat::Contiguous)); }
KERNEL(OnesLike) { out.tensor(at::ones_like(in.tensor(), at::MemoryFormat::Contiguous)); }

KERNEL(LinSpace) {
  const double start = in.number(), stop = in.number();
  out.tensor(at::linspace(start, stop, in.integer(), options(at::kFloat)));
}

KERNEL(Complex) {
  const Tensor real = in.tensor(), imaginary = in.tensor();
  out.tensor(at::complex(real, imaginary));
}
KERNEL(Real) {
  const Tensor x = in.tensor();
  out.tensor(x.is_complex() ? at::real(x).contiguous() : x);
}
KERNEL(Imag) {
  const Tensor x = in.tensor();
  out.tensor(x.is_complex() ? at::imag(x).contiguous() : at::zeros_like(x));
}
KERNEL(ComplexAbs) { out.tensor(at::abs(in.tensor())); }

}  // namespace
}  // namespace cm
