# coracle_warnings(TARGET): the warnings that all of our own C is compiled with, clean under GCC 12 and Clang 14.
# They are errors only where CORACLE_WERROR is on (the presets and the Makefile turn it on), so that a newer
# compiler's new warning never stops somebody who only wants to build.

function(coracle_warnings target)
  target_compile_options(${target} PRIVATE
    -Wall
    -Wextra
    -Wshadow
    -Wconversion
    -Wsign-conversion
    -Wstrict-prototypes
    -Wmissing-prototypes
    -Wvla
    -Wpointer-arith
    -Wundef
    -Wformat=2
    -Wcast-qual
    $<$<BOOL:${CORACLE_WERROR}>:-Werror>)
endfunction()
