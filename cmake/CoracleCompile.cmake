# coracle_compile(TARGET): what every target of ours is compiled with.

include(CoracleWarnings)
include(CoracleSanitizers)

function(coracle_compile target)
  target_compile_features(${target} PRIVATE c_std_11)
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
  # Asserts catch our own mistakes in release builds too: this comes after CMake's own -DNDEBUG and undoes it.
  target_compile_options(${target} PRIVATE -UNDEBUG)
  coracle_warnings(${target})
  coracle_sanitize(${target})
  coracle_coverage(${target})
endfunction()

function(coracle_coverage target)
  if(CORACLE_COVERAGE)
    target_compile_options(${target} PRIVATE --coverage -fprofile-update=atomic)
    target_link_options(${target} PRIVATE --coverage)
  endif()
endfunction()
