/* Goal: to be written within minutes. */
int main(void) {
  return 0;
}
