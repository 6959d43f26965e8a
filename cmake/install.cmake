# SPDX-License-Identifier: Apache-2.0
# make install: the command, the library, the header, pkg-config and CMake package files, the man
# page and shell completions.
include(CMakePackageConfigHelpers)

install(TARGETS unbatch unbatch_cli EXPORT UnbatchTargets
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES include/unbatch.h include/unbatch_nn.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES man/unbatch.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES completions/unbatch.bash DESTINATION
        ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME unbatch)
install(FILES completions/_unbatch DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES completions/unbatch.fish DESTINATION
        ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
# The installed command finds the installed library wherever the prefix is moved.
file(RELATIVE_PATH UB_LIB_FROM_BIN ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
set_target_properties(unbatch_cli PROPERTIES INSTALL_RPATH "$ORIGIN/${UB_LIB_FROM_BIN}")

configure_file(cmake/unbatch.pc.in ${CMAKE_BINARY_DIR}/unbatch.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/unbatch.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(EXPORT UnbatchTargets NAMESPACE unbatch::
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/unbatch)
configure_package_config_file(cmake/unbatch-config.cmake.in
  ${CMAKE_BINARY_DIR}/unbatch-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/unbatch)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/unbatch-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/unbatch-config.cmake
              ${CMAKE_BINARY_DIR}/unbatch-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/unbatch)
