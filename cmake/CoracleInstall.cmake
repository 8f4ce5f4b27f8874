# What `cmake --install` puts where: the program, the consensus core as a library with its header, and what to read.
# No room of the house but that one, and of it nothing but what coracle/raft.h declares.
#
# The library is found by pkg-config as coracle-raft and by CMake as CoracleRaft; both packages may be moved.

include(CMakePackageConfigHelpers)

set(config_folder ${CMAKE_INSTALL_LIBDIR}/cmake/CoracleRaft)

install(TARGETS coracle RUNTIME)
install(TARGETS coracle_raft_static coracle_raft_shared EXPORT CoracleRaftTargets)
install(FILES include/coracle/raft.h ${PROJECT_BINARY_DIR}/include/coracle/version.h
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/coracle)
install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR})

# ---- CMake: find_package(CoracleRaft) ----

install(EXPORT CoracleRaftTargets NAMESPACE CoracleRaft:: DESTINATION ${config_folder})
configure_package_config_file(cmake/CoracleRaftConfig.cmake.in CoracleRaftConfig.cmake
  INSTALL_DESTINATION ${config_folder}
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(CoracleRaftConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/CoracleRaftConfig.cmake ${PROJECT_BINARY_DIR}/CoracleRaftConfigVersion.cmake
  DESTINATION ${config_folder})

# ---- pkg-config: coracle-raft ----

# From where the .pc file is found to the prefix, so that it is right wherever the tree was installed.
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR} OR IS_ABSOLUTE ${CMAKE_INSTALL_INCLUDEDIR})
  set(pc_prefix ${CMAKE_INSTALL_PREFIX})
  set(pc_libdir ${CMAKE_INSTALL_FULL_LIBDIR})
  set(pc_includedir ${CMAKE_INSTALL_FULL_INCLUDEDIR})
else()
  file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  string(REGEX REPLACE "/$" "" up ${up})
  set(pc_prefix "\${pcfiledir}/${up}")
  set(pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
  set(pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
configure_file(cmake/coracle-raft.pc.in coracle-raft.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/coracle-raft.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
