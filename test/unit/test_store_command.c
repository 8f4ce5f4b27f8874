/* Goal: a command has one spelling that never changes by accident, every command survives the way through it,
 * and bytes that are not one are refused without a read past their end. */
#include "store/command.h"

#include "base/random.h"
#include "store_commands.h"
#include "store_vectors.h"

#include <sys/mman.h>

/* Of a command without a key. */
static int decode(const void *data, size_t n, struct command *command) {
  struct command_once once;
  bool has_once = true;
  int error = command_decode(data, n, command, &once, &has_once);
  if (error == 0) assert_false(has_once);
  return error;
}

/* A decoded command as one that can be encoded: with the operations that it has. */
struct decoded {
  struct command command, operations[COMMAND_BATCH_MAX];
  struct command_once once;
};

static int decode_all(const void *data, size_t n, struct decoded *d) {
  bool has_once;
  int error = command_decode(data, n, &d->command, &d->once, &has_once);
  if (error != 0) return error;
  struct command *c = &d->command;
  assert_null(c->once);
  assert_null(c->operations);
  if (has_once) c->once = &d->once;
  if (c->type != COMMAND_TRANSACTION && c->type != COMMAND_BATCH) return 0;
  struct slice left = c->encoded_operations;
  for (size_t i = 0; i < c->operations_n; i++) assert_true(command_next(&left, &d->operations[i]));
  assert_false(command_next(&left, &d->operations[0]) || left.n > 0);
  c->operations = d->operations;
  return 0;
}

static int decode_exactly(const void *data, size_t n) {
  static struct decoded d;
  uint8_t *copy = exact_copy(data, n);
  int result = decode_all(copy, n, &d);
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

/* A PUT on condition, and a DELETE. */
static const struct command *two_operations(void) {
  static struct command operations[2];
  operations[0] = put_command("c", "d", "{}");
  operations[0].condition = COMMAND_IF_BASE;
  operations[0].revision = 7;
  operations[1] = delete_command("c", "e");
  return operations;
}

static struct command a_transaction(const struct command_once *once) {
  return (struct command){
      .type = COMMAND_TRANSACTION, .operations = two_operations(), .operations_n = 2, .once = once};
}

static void assert_layout(const struct command *command, const char *hex) {
  struct bytes out = encoded(command);
  assert_golden(out.data, out.n, hex);
  bytes_close(&out);
}

static void layouts_are_pinned(void **state) {
  (void)state;
  const struct command_once once = once_of(2, 1);
  struct command command = a_put();
  assert_layout(&command, VECTOR_PUT);
  command = a_delete();
  assert_layout(&command, VECTOR_DELETE);
  command = a_transaction(NULL);
  assert_layout(&command, VECTOR_TRANSACTION);
  command = a_transaction(&once);
  assert_layout(&command, VECTOR_ONCE VECTOR_TRANSACTION);
  command.type = COMMAND_BATCH;
  assert_layout(&command, VECTOR_ONCE VECTOR_BATCH);
  command = drop_command("ab");
  assert_layout(&command, VECTOR_DROP);
  command.once = &once;
  assert_layout(&command, VECTOR_ONCE VECTOR_DROP);
}

static void assert_same(const struct command *a, const struct command *b) {
  assert_int_equal(a->type, b->type);
  assert_int_equal(a->condition, b->condition);
  assert_true(a->revision == b->revision);
  assert_true(slice_equal(a->collection, b->collection));
  assert_true(slice_equal(a->id, b->id));
  assert_true(slice_equal(a->body, b->body));
  assert_int_equal(a->operations_n, b->operations_n);
  for (size_t i = 0; i < a->operations_n; i++) assert_same(&a->operations[i], &b->operations[i]);
  assert_int_equal(a->once != NULL, b->once != NULL);
  if (a->once != NULL) assert_memory_equal(a->once, b->once, sizeof *a->once);
}

static void assert_round_trip(const struct command *command) {
  static struct decoded back;
  struct bytes out = encoded(command);
  uint8_t *copy = exact_copy(out.data, out.n);
  assert_int_equal(decode_all(copy, out.n, &back), 0);
  assert_same(command, &back.command);
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
    for (int condition = COMMAND_ALWAYS; condition <= COMMAND_IF_BASE; condition++)
      for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < 4; j++) {
          if (type == COMMAND_DELETE && condition >= COMMAND_CREATE) continue;
          const bool revises = condition == COMMAND_IF_REVISION || condition == COMMAND_IF_BASE;
          struct command command = {.type = (enum command_type)type,
                                    .condition = (enum command_condition)condition,
                                    .revision = revises ? UINT64_MAX - i : 0,
                                    .collection = collections[i],
                                    .id = ids[j],
                                    .body = type == COMMAND_PUT ? body : (struct slice){0}};
          const struct command_once once = once_of(i, j);
          assert_round_trip(&command);
          command.once = &once;
          assert_round_trip(&command);
        }
}

static void several_survive_the_round_trip(void **state) {
  (void)state;
  static struct command operations[COMMAND_BATCH_MAX];
  static const struct command_once once = {.key = "a key", .request = "a request", .note = "a note"};
  for (size_t i = 0; i < COMMAND_BATCH_MAX; i++)
    operations[i] = i % 3 == 0 ? delete_command("c", "d") : put_command("c", "d", "[1,2]");
  for (size_t n = 1; n <= COMMAND_BATCH_MAX; n++)
    for (size_t k = 0; k < 4; k++) {
      const struct command command = {.type = k / 2 == 0 ? COMMAND_TRANSACTION : COMMAND_BATCH,
                                      .operations = operations,
                                      .operations_n = n,
                                      .once = k % 2 == 0 ? &once : NULL};
      if (k / 2 > 0 || n <= COMMAND_TRANSACTION_MAX) assert_round_trip(&command);
    }
  static char longest[COLLECTION_BYTES_MAX];
  memset(longest, 'x', sizeof longest);
  struct command drop = {.type = COMMAND_DROP, .collection = {longest, 1}};
  assert_round_trip(&drop);
  drop.collection.n = sizeof longest;
  drop.once = &once;
  assert_round_trip(&drop);
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

  const struct command_once once = once_of(2, 1);
  struct command transaction = a_transaction(&once);
  out = encoded(&transaction);
  for (size_t n = 0; n < out.n; n++) assert_int_equal(decode_exactly(out.data, n), CORACLE_EMALFORMED);
  bytes_append(&out, "", 1);
  assert_int_equal(decode_exactly(out.data, out.n), CORACLE_EMALFORMED);
  bytes_close(&out);
}

/* Whatever is taken after damage is a command in full: encoding it again gives the same bytes. */
static void assert_refused_or_canonical(const void *data, size_t n) {
  static struct decoded d;
  uint8_t *copy = exact_copy(data, n);
  if (decode_all(copy, n, &d) == 0) {
    struct bytes again = encoded(&d.command);
    assert_int_equal(again.n, n);
    assert_memory_equal(again.data, copy, n);
    bytes_close(&again);
  }
  free(copy);
}

static void assert_damage_is_seen_or_canonical(const struct command *command) {
  struct bytes out = encoded(command);
  for (size_t bit = 0; bit < 8 * out.n; bit++) {
    out.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    assert_refused_or_canonical(out.data, out.n);
    out.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
  }
  bytes_close(&out);
}

static void damaged_anywhere(void **state) {
  (void)state;
  const struct command_once once = once_of(2, 1);
  struct command put = a_put(), transaction = a_transaction(&once), drop = drop_command("c");
  struct random random = {.state = 1};
  assert_damage_is_seen_or_canonical(&put);
  assert_damage_is_seen_or_canonical(&transaction);
  assert_damage_is_seen_or_canonical(&drop);
  struct bytes out = encoded(&transaction);
  for (int round = 0; round < 20000; round++) { /* several bytes at a time */
    uint8_t *copy = exact_copy(out.data, out.n);
    for (size_t k = 1 + random_below(&random, 4); k > 0; k--)
      copy[49 + random_below(&random, out.n - 49)] = (uint8_t)random_below(&random, 20);
    assert_refused_or_canonical(copy, 49 + random_below(&random, out.n - 48));
    free(copy);
  }
  for (int round = 0; round < 20000; round++) {
    uint8_t noise[40];
    size_t n = random_below(&random, sizeof noise + 1);
    for (size_t i = 0; i < n; i++) noise[i] = (uint8_t)random_next(&random);
    if (n > 1) { /* or hardly any would get past the first two bytes */
      noise[0] = (uint8_t)(1 + noise[0] % 2);
      noise[1] = (uint8_t)(noise[1] % 6);
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
  ASSERT_REFUSED("\7\0" ZERO8 "\1c\1\0d{"); /* a type to come */
  ASSERT_REFUSED("\1\6" ZERO8 "\1c\1\0d{"); /* a condition to come */
  ASSERT_REFUSED("\1\xff" ZERO8 "\1c\1\0d{");
  ASSERT_REFUSED("\1\0\1\0\0\0\0\0\0\0\1c\1\0d{"); /* a revision that no condition asks for */
  ASSERT_REFUSED("\1\4\0\0\0\0\0\0\0\1\1c\1\0d{");
  ASSERT_REFUSED("\2\4" ZERO8 "\1c\1\0d");  /* a delete that creates */
  ASSERT_REFUSED("\2\5" ZERO8 "\1c\1\0d");  /* or that has a base */
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

static void nothing_else_is_several(void **state) {
  (void)state;
#define ONE "\17\0\0\0\2\0" ZERO8 "\1c\1\0d" /* an operation, behind its length */
#define KEY48 ZERO8 ZERO8 ZERO8 ZERO8 ZERO8 ZERO8
  assert_int_equal(decode_exactly("\3\1\0" ONE, 22), 0); /* those that the others differ from */
  assert_int_equal(decode_exactly("\4\2\0" ONE ONE, 41), 0);
  assert_int_equal(decode_exactly("\5c", 2), 0);
  assert_int_equal(decode_exactly("\6" KEY48 "\5c", 51), 0);

  ASSERT_REFUSED("\3\0\0");                               /* of none */
  ASSERT_REFUSED("\3\0\0" ONE);                           /* one more than it says */
  ASSERT_REFUSED("\3\2\0" ONE);                           /* one less */
  ASSERT_REFUSED("\3\1\0" ONE "x");                       /* something behind them */
  ASSERT_REFUSED("\3\1\0\16\0\0\0\2\0" ZERO8 "\1c\1\0d"); /* another length */
  ASSERT_REFUSED("\3\1\0\20\0\0\0\2\0" ZERO8 "\1c\1\0d");
  ASSERT_REFUSED("\3\1\0\377\377\377\377\2\0" ZERO8 "\1c\1\0d");
  ASSERT_REFUSED("\3\1\0\0\0\0\0");
  ASSERT_REFUSED("\3\1\0\17\0\0\0\2\5" ZERO8 "\1c\1\0d"); /* an operation that is none */
  ASSERT_REFUSED("\4\1\0\26\0\0\0\3\1\0" ONE);            /* one within another */
  ASSERT_REFUSED("\4\1\0\2\0\0\0\5c");
  ASSERT_REFUSED("\4\1\0\100\0\0\0\6" KEY48 "\2\0" ZERO8 "\1c\1\0d"); /* with a key of its own */
  ASSERT_REFUSED("\5");                                               /* names against the rules */
  ASSERT_REFUSED("\5..");
  ASSERT_REFUSED("\5c/");
  ASSERT_REFUSED("\6" KEY48); /* a key to nothing */
  ASSERT_REFUSED("\6" KEY48 "\6" KEY48 "\5c");
  ASSERT_REFUSED("\6" KEY48 "\7c");
}

/* One operation over the limit, with all of them there. */
static void limits_of_several_hold(void **state) {
  (void)state;
  for (int over = 0; over <= 1; over++)
    for (int batch = 0; batch <= 1; batch++) {
      struct bytes b = {0};
      const size_t n = (size_t)(batch ? COMMAND_BATCH_MAX : COMMAND_TRANSACTION_MAX) + (size_t)over;
      bytes_append(&b, (uint8_t[]){(uint8_t)(3 + batch), (uint8_t)n, (uint8_t)(n >> 8)}, 3);
      for (size_t i = 0; i < n; i++) bytes_append(&b, ONE, 19);
      assert_int_equal(decode_exactly(b.data, b.n), over ? CORACLE_EMALFORMED : 0);
      bytes_close(&b);
    }
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
  assert_int_equal(decode(map, n, &command), CORACLE_EMALFORMED);
  assert_int_equal(decode(map, n - 1, &command), 0);
  munmap(map, n);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(layouts_are_pinned),
      cmocka_unit_test(every_command_survives_the_round_trip),
      cmocka_unit_test(several_survive_the_round_trip),
      cmocka_unit_test(truncated_anywhere),
      cmocka_unit_test(damaged_anywhere),
      cmocka_unit_test(nothing_else_is_a_command),
      cmocka_unit_test(nothing_else_is_several),
      cmocka_unit_test(limits_hold),
      cmocka_unit_test(limits_of_several_hold),
      cmocka_unit_test(a_body_of_4_gib_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
