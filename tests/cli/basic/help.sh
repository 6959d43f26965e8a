# SPDX-License-Identifier: Apache-2.0
# Help is data: stdout, exit 0. Without a verb it is a mistake: stderr, exit 2.
t unbatch --help
[ "$(unbatch --help)" = "$(unbatch help)" ] && [ "$(unbatch -h)" = "$(unbatch help)" ] || echo "not the same"
for verb in summary get run bench; do
    t unbatch help $verb
    [ "$(unbatch $verb --help)" = "$(unbatch help $verb)" ] || echo "not the same"
    [ "$(unbatch $verb model.onnx -h)" = "$(unbatch help $verb)" ] || echo "not the same"
done
t unbatch
