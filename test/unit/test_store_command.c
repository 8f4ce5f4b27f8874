/* Goal: a command has one spelling that never changes by accident, every command survives the way through it,
 * and bytes that are not one are refused without a read past their end. */
#include "store/command.h"

#include "base/random.h"
#include "golden.h"

#include <sys/mman.h>

static int decode_exactly(const void *data, size_t n) {
  struct command command;
  uint8_t *copy = exact_copy(data, n);
  int result = command_decode(copy, n, &command);
  free(copy);
  return result;
}

static struct bytes encoded(const struct command *command) {
  struct bytes out = {0};
  command_encode(command, bytes_reserve(&out, command_size(command)));
  out.n = command_size(command);
  return out;
}

static struct command a_put(void) {
  return (struct command){.type = COMMAND_PUT,
                          .condition = COMMAND_IF_REVISION,
                          .revision = 0x1122334455667788,
                          .collection = slice_of("items"),
                          .id = slice_of("ab\xc3\xa9"),
                          .body = slice_of("{}")};
}

static struct command a_delete(void) {
  return (struct command){.type = COMMAND_DELETE, .collection = slice_of("c"), .id = slice_of("d")};
}

static void layout_is_pinned(void **state) {
  (void)state;
  struct command put = a_put(), delete = a_delete();
  struct bytes out = encoded(&put);
  assert_golden(out.data, out.n, "01 03 8877665544332211 05 6974656d73 0400 6162c3a9 7b7d");
  bytes_close(&out);
  out = encoded(&delete);
  assert_golden(out.data, out.n, "02 00 0000000000000000 01 63 0100 64");
  bytes_close(&out);
}

static void assert_round_trip(const struct command *command) {
  struct bytes out = encoded(command);
  uint8_t *copy = exact_copy(out.data, out.n);
  struct command back;
  assert_int_equal(command_decode(copy, out.n, &back), 0);
  assert_int_equal(back.type, command->type);
  assert_int_equal(back.condition, command->condition);
  assert_true(back.revision == command->revision);
  assert_true(slice_equal(back.collection, command->collection));
  assert_true(slice_equal(back.id, command->id));
  assert_true(slice_equal(back.body, command->body));
  free(copy);
  bytes_close(&out);
}

static void every_command_survives_the_round_trip(void **state) {
  (void)state;
  static char longest[DOCUMENT_ID_BYTES_MAX];
  memset(longest, 'x', sizeof longest);
  struct slice collections[] = {{longest, 1}, {longest, COLLECTION_BYTES_MAX}};
  struct slice ids[] = {{longest, 1}, {longest, 255}, {longest, 256}, {longest, DOCUMENT_ID_BYTES_MAX}};
  struct slice body = {longest, 77};

  for (int type = COMMAND_PUT; type <= COMMAND_DELETE; type++)
    for (int condition = COMMAND_ALWAYS; condition <= COMMAND_CREATE; condition++)
      for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < 4; j++) {
          if (type == COMMAND_DELETE && condition == COMMAND_CREATE) continue;
          struct command command = {.type = (enum command_type)type,
                                    .condition = (enum command_condition)condition,
                                    .revision = condition == COMMAND_IF_REVISION ? UINT64_MAX - i : 0,
                                    .collection = collections[i],
                                    .id = ids[j],
                                    .body = type == COMMAND_PUT ? body : (struct slice){0}};
          assert_round_trip(&command);
        }
}

/* Cut anywhere, a delete is no command; a put is one as long as a byte of its body is left. */
static void truncated_anywhere(void **state) {
  (void)state;
  struct command put = a_put(), delete = a_delete();
  struct bytes out = encoded(&put);
  for (size_t n = 0; n < out.n; n++)
    assert_int_equal(decode_exactly(out.data, n), n > out.n - put.body.n ? 0 : CORACLE_EMALFORMED);
  bytes_close(&out);
  out = encoded(&delete);
  for (size_t n = 0; n < out.n; n++) assert_int_equal(decode_exactly(out.data, n), CORACLE_EMALFORMED);
  bytes_close(&out);
  assert_int_equal(decode_exactly(NULL, 0), CORACLE_EMALFORMED);
}

/* Whatever is taken after damage is a command in full: encoding it again gives the same bytes. */
static void assert_refused_or_canonical(const void *data, size_t n) {
  uint8_t *copy = exact_copy(data, n);
  struct command command;
  if (command_decode(copy, n, &command) == 0) {
    struct bytes again = encoded(&command);
    assert_int_equal(again.n, n);
    assert_memory_equal(again.data, copy, n);
    bytes_close(&again);
  }
  free(copy);
}

static void damaged_anywhere(void **state) {
  (void)state;
  struct command put = a_put();
  struct bytes out = encoded(&put);
  struct random random = {.state = 1};
  for (size_t bit = 0; bit < 8 * out.n; bit++) {
    out.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    assert_refused_or_canonical(out.data, out.n);
    out.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
  }
  for (int round = 0; round < 20000; round++) {
    uint8_t noise[40];
    size_t n = random_below(&random, sizeof noise + 1);
    for (size_t i = 0; i < n; i++) noise[i] = (uint8_t)random_next(&random);
    if (n > 1) { /* or hardly any would get past the first two bytes */
      noise[0] = (uint8_t)(1 + noise[0] % 2);
      noise[1] = (uint8_t)(noise[1] % 5);
    }
    if (n > 10) noise[10] = (uint8_t)(noise[10] % 8);
    assert_refused_or_canonical(noise, n);
  }
  bytes_close(&out);
}

static void assert_refused(const char *bytes, size_t n) {
  assert_int_equal(decode_exactly(bytes, n), CORACLE_EMALFORMED);
}
#define ASSERT_REFUSED(literal) assert_refused(literal, sizeof(literal) - 1)

static void nothing_else_is_a_command(void **state) {
  (void)state;
#define ZERO8 "\0\0\0\0\0\0\0\0"
  assert_int_equal(decode_exactly("\1\0" ZERO8 "\1c\1\0d{", 16), 0); /* the one that the others differ from */

  ASSERT_REFUSED("\0\0" ZERO8 "\1c\1\0d{"); /* type 0 */
  ASSERT_REFUSED("\3\0" ZERO8 "\1c\1\0d{"); /* a type to come */
  ASSERT_REFUSED("\1\5" ZERO8 "\1c\1\0d{"); /* a condition to come */
  ASSERT_REFUSED("\1\xff" ZERO8 "\1c\1\0d{");
  ASSERT_REFUSED("\1\0\1\0\0\0\0\0\0\0\1c\1\0d{"); /* a revision that no condition asks for */
  ASSERT_REFUSED("\1\4\0\0\0\0\0\0\0\1\1c\1\0d{");
  ASSERT_REFUSED("\2\4" ZERO8 "\1c\1\0d");  /* a delete that creates */
  ASSERT_REFUSED("\2\0" ZERO8 "\1c\1\0d{"); /* a delete with a body */
  ASSERT_REFUSED("\1\0" ZERO8 "\1c\1\0d");  /* a put without one */
  ASSERT_REFUSED("\1\0" ZERO8 "\0\1\0d{");  /* no collection */
  ASSERT_REFUSED("\1\0" ZERO8 "\1c\0\0{");  /* no id */
  ASSERT_REFUSED("\1\0" ZERO8 "\1/\1\0d{"); /* names against the rules */
  ASSERT_REFUSED("\1\0" ZERO8 "\2..\1\0d{");
  ASSERT_REFUSED("\1\0" ZERO8 "\1c\1\0\x1f{");
  ASSERT_REFUSED("\1\0" ZERO8 "\1c\1\0\xff{");
  ASSERT_REFUSED("\1\0" ZERO8 "\1c\377\377d{"); /* lengths beyond the end */
  ASSERT_REFUSED("\1\0" ZERO8 "\377c\1\0d{");
}

/* One byte over the limits of names, with the bytes all there. */
static void limits_hold(void **state) {
  (void)state;
  for (int over = 0; over <= 1; over++)
    for (int of_id = 0; of_id <= 1; of_id++) {
      struct bytes b = {0};
      size_t collection_n = COLLECTION_BYTES_MAX + (size_t)(of_id ? 0 : over);
      size_t id_n = DOCUMENT_ID_BYTES_MAX + (size_t)(of_id ? over : 0);
      bytes_append(&b, "\1\0\0\0\0\0\0\0\0\0", 10);
      bytes_append(&b, (uint8_t[]){(uint8_t)collection_n}, 1);
      for (size_t i = 0; i < collection_n; i++) bytes_append(&b, "c", 1);
      bytes_append(&b, (uint8_t[]){(uint8_t)id_n, (uint8_t)(id_n >> 8)}, 2);
      for (size_t i = 0; i < id_n; i++) bytes_append(&b, "d", 1);
      bytes_append(&b, "{", 1);
      assert_int_equal(decode_exactly(b.data, b.n), over ? CORACLE_EMALFORMED : 0);
      bytes_close(&b);
    }
}

/* A record counts its body in 32 bits. The pages behind the head are never touched, so they cost nothing. */
static void a_body_of_4_gib_is_refused(void **state) {
  (void)state;
  static const char head[] = "\1\0\0\0\0\0\0\0\0\0\1c\1\0d";
  size_t head_n = sizeof head - 1, n = head_n + UINT32_MAX + (size_t)1;
  struct command command;
  uint8_t *map = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (map == MAP_FAILED) skip();
  memcpy(map, head, head_n);
  assert_int_equal(command_decode(map, n, &command), CORACLE_EMALFORMED);
  assert_int_equal(command_decode(map, n - 1, &command), 0);
  munmap(map, n);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(layout_is_pinned),           cmocka_unit_test(every_command_survives_the_round_trip),
      cmocka_unit_test(truncated_anywhere),         cmocka_unit_test(damaged_anywhere),
      cmocka_unit_test(nothing_else_is_a_command),  cmocka_unit_test(limits_hold),
      cmocka_unit_test(a_body_of_4_gib_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
