# SPDX-License-Identifier: Apache-2.0
# Every verb and option of the help is in the man page and in all three completions.
for file in man/unbatch.1 completions/unbatch.bash completions/_unbatch completions/unbatch.fish; do
    for verb in summary get run bench; do
        grep -q "$verb" "$SOURCE/$file" || echo "$file lacks $verb"
        for option in $(unbatch help $verb | grep -o -e '--[a-z]*' | sort -u); do
            sed 's/\\-/-/g' "$SOURCE/$file" | grep -q -e "$option" -e "-l ${option#--}" ||
                echo "$file lacks $option"
        done
    done
done
