# coracle_sanitize(TARGET): builds and links a target with the sanitizers named in CORACLE_SANITIZE, if any.
# The first finding ends the process, so no test can pass over one.

function(coracle_sanitize target)
  if(NOT CORACLE_SANITIZE)
    return()
  endif()
  target_compile_options(${target} PRIVATE
    -O1 -fno-omit-frame-pointer -fsanitize=${CORACLE_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(${target} PRIVATE -fsanitize=${CORACLE_SANITIZE})
endfunction()
