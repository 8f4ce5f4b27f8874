#include "json/text.h"

bool json_is_integer(struct slice value) {
  if (value.n > 0 && value.at[0] == '-') value = (struct slice){value.at + 1, value.n - 1};
  for (size_t i = 0; i < value.n; i++)
    if (value.at[i] < '0' || value.at[i] > '9') return false;
  return value.n > 0;
}

/* A number taken apart: 0.DIGITS * 10^(point + exponent), where DIGITS begin and end with another digit than
 * 0. There are none: it is 0. */
struct number {
  bool negative;
  struct slice digits; /* the decimal point may be among them */
  ptrdiff_t point;
  bool exponent_negative;
  struct slice exponent; /* digits */
};

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static struct number take_apart(struct slice text) {
  struct number number = {.negative = text.at[0] == '-'};
  const char *at = text.at + (number.negative ? 1 : 0), *end = text.at + text.n;
  const char *mantissa = at;
  while (at < end && *at != 'e' && *at != 'E') at++;
  const char *mantissa_end = at;
  if (at < end) {
    at++;
    number.exponent_negative = *at == '-';
    if (!is_digit(*at)) at++;
    number.exponent = (struct slice){at, (size_t)(end - at)};
  }
  const char *point = memchr(mantissa, '.', (size_t)(mantissa_end - mantissa));
  if (point == NULL) point = mantissa_end;
  const char *first = mantissa, *last = mantissa_end;
  while (first < last && (*first == '0' || *first == '.')) first++;
  while (last > first && (last[-1] == '0' || last[-1] == '.')) last--;
  number.digits = (struct slice){first, (size_t)(last - first)};
  number.point = first < point ? point - first : point - first + 1; /* the point itself is no digit */
  return number;
}

/* The next digit at *at, over the decimal point; false at the end. */
static bool next_digit(const char **at, const char *end, char *digit) {
  if (*at < end && **at == '.') (*at)++;
  if (*at == end) return false;
  *digit = *(*at)++;
  return true;
}

static bool digits_equal(struct slice a, struct slice b) {
  const char *end_a = a.at + a.n, *end_b = b.at + b.n;
  char digit_a, digit_b;
  for (;;) {
    const bool more_a = next_digit(&a.at, end_a, &digit_a), more_b = next_digit(&b.at, end_b, &digit_b);
    if (!more_a || !more_b) return more_a == more_b;
    if (digit_a != digit_b) return false;
  }
}

/* The i-th digit from the right, with the exponent's sign. */
static ptrdiff_t exponent_digit(const struct number *number, size_t i) {
  const struct slice *exponent = &number->exponent;
  if (i >= exponent->n) return 0;
  const int digit = exponent->at[exponent->n - 1 - i] - '0';
  return number->exponent_negative ? -digit : digit;
}

/* a.point + a.exponent == b.point + b.exponent, digit by digit from the right, so that they can be of any
 * length: at each place what is left has to be a multiple of ten, and at the end nothing. */
static bool magnitudes_equal(const struct number *a, const struct number *b) {
  ptrdiff_t left = a->point - b->point;
  const size_t places = a->exponent.n > b->exponent.n ? a->exponent.n : b->exponent.n;
  for (size_t i = 0; i < places; i++) {
    left += exponent_digit(a, i) - exponent_digit(b, i);
    if (left % 10 != 0) return false;
    left /= 10;
  }
  return left == 0;
}

bool json_numbers_equal(struct slice a, struct slice b) {
  const struct number x = take_apart(a), y = take_apart(b);
  if (x.digits.n == 0 || y.digits.n == 0) return x.digits.n == y.digits.n; /* 0, however spelled; -0 too */
  return x.negative == y.negative && digits_equal(x.digits, y.digits) && magnitudes_equal(&x, &y);
}
