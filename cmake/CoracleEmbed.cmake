# coracle_embed(TARGET FILE SYMBOL): the bytes of FILE as constants of the target, for
#
#     extern const unsigned char SYMBOL[];
#     extern const size_t SYMBOL_bytes;
#
# which some header has to declare. The C is made again whenever FILE or this file changes.
#
# Run as a script (cmake -DINPUT= -DOUTPUT= -DSYMBOL= -P) it is what makes that C.

if(CMAKE_SCRIPT_MODE_FILE)
  file(READ ${INPUT} hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "(................................................................................)" "\\1\n"
    bytes "${bytes}") # 16 a line
  get_filename_component(name ${INPUT} NAME)
  file(WRITE ${OUTPUT} "/* ${name}, made by CoracleEmbed.cmake. */
#include <stddef.h>

extern const unsigned char ${SYMBOL}[];
extern const size_t ${SYMBOL}_bytes;

const unsigned char ${SYMBOL}[] = {
${bytes}
};
const size_t ${SYMBOL}_bytes = sizeof ${SYMBOL};
")
  return()
endif()

set(CORACLE_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})

function(coracle_embed target file symbol)
  set(output ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c)
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DINPUT=${file} -DOUTPUT=${output} -DSYMBOL=${symbol} -P ${CORACLE_EMBED_SCRIPT}
    DEPENDS ${file} ${CORACLE_EMBED_SCRIPT}
    COMMENT "Embedding ${file}"
    VERBATIM)
  target_sources(${target} PRIVATE ${output})
endfunction()
