# Finds llhttp and makes the target Llhttp::llhttp; sources include <llhttp.h>.
#
# An installed library is taken where there is one, with or without a CMake package of its own. Debian 12 has none,
# but its package node-llhttp ships the generated C sources: these are then built into a static library here, without
# our warnings, because they are not ours to change.
#
# Llhttp_ROOT or CMAKE_PREFIX_PATH may name another place to look.

find_package(llhttp CONFIG QUIET) # any version: ours is compared below, and it is a minimum
foreach(target llhttp::llhttp llhttp::llhttp_shared llhttp::llhttp_static)
  if(TARGET ${target} AND NOT TARGET Llhttp::llhttp)
    add_library(Llhttp::llhttp ALIAS ${target})
    set(Llhttp_LIBRARY ${target})
    set(Llhttp_VERSION ${llhttp_VERSION})
  endif()
endforeach()

if(NOT TARGET Llhttp::llhttp)
  find_path(Llhttp_INCLUDE_DIR llhttp.h
    PATHS /usr/share/include
    PATH_SUFFIXES llhttp
    DOC "The folder of llhttp.h")
  find_library(Llhttp_LIBRARY llhttp)
  if(NOT Llhttp_LIBRARY)
    find_path(Llhttp_SOURCE_DIR NAMES llhttp.c
      PATHS /usr/share/llhttp
      DOC "The folder of llhttp's generated sources: api.c, http.c and llhttp.c")
  endif()

  if(Llhttp_INCLUDE_DIR AND EXISTS ${Llhttp_INCLUDE_DIR}/llhttp.h)
    set(Llhttp_VERSION "")
    foreach(part MAJOR MINOR PATCH)
      file(STRINGS ${Llhttp_INCLUDE_DIR}/llhttp.h line REGEX "#define LLHTTP_VERSION_${part} +[0-9]+")
      string(REGEX MATCH "[0-9]+$" number "${line}")
      list(APPEND Llhttp_VERSION ${number})
    endforeach()
    list(JOIN Llhttp_VERSION "." Llhttp_VERSION)
  endif()
endif()

include(FindPackageHandleStandardArgs)
if(Llhttp_LIBRARY OR NOT Llhttp_SOURCE_DIR)
  set(required Llhttp_LIBRARY)
else()
  set(required Llhttp_SOURCE_DIR Llhttp_INCLUDE_DIR)
endif()
find_package_handle_standard_args(Llhttp
  REQUIRED_VARS ${required}
  VERSION_VAR Llhttp_VERSION
  REASON_FAILURE_MESSAGE "on Debian 12 it comes with the package node-llhttp")

if(Llhttp_FOUND AND NOT TARGET Llhttp::llhttp)
  if(Llhttp_LIBRARY)
    add_library(Llhttp::llhttp UNKNOWN IMPORTED)
    set_target_properties(Llhttp::llhttp PROPERTIES
      IMPORTED_LOCATION ${Llhttp_LIBRARY}
      INTERFACE_INCLUDE_DIRECTORIES ${Llhttp_INCLUDE_DIR})
  else()
    add_library(llhttp STATIC
      ${Llhttp_SOURCE_DIR}/api.c ${Llhttp_SOURCE_DIR}/http.c ${Llhttp_SOURCE_DIR}/llhttp.c)
    target_compile_options(llhttp PRIVATE -w)
    target_include_directories(llhttp SYSTEM PUBLIC ${Llhttp_INCLUDE_DIR})
    add_library(Llhttp::llhttp ALIAS llhttp)
  endif()
endif()
mark_as_advanced(Llhttp_INCLUDE_DIR Llhttp_LIBRARY Llhttp_SOURCE_DIR)
