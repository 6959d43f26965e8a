# SPDX-License-Identifier: Apache-2.0
# The version stands in CMakeLists.txt; the golden runner passes it on.
[ "$(unbatch --version)" = "unbatch $VERSION" ] && echo "as in CMakeLists.txt"
[ "$(unbatch version)" = "unbatch $VERSION" ] && echo "as in CMakeLists.txt"
