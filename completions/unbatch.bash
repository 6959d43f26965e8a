# bash completion for unbatch
_unbatch() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]}
    if [ "$COMP_CWORD" = 1 ]; then
        COMPREPLY=($(compgen -W "summary get run check bench help --help --version" -- "$cur"))
        return
    fi
    case $prev in
    -x | --input | -o | --output | --from | --labels | --weights | --against | --python)
        COMPREPLY=($(compgen -f -- "$cur"))
        return
        ;;
    esac
    if [[ $cur == -* ]]; then
        local common="--input --json --threads --mem --weights --reference --quiet --verbose --help"
        case $verb in
        summary) common="$common --shape" ;;
        get) common="$common --output --from --raw --alone" ;;
        run) common="$common --output --from --alone --top --labels" ;;
        check) common="$common --against" ;;
        bench) common="$common --from --runs --layers --compare --python" ;;
        esac
        COMPREPLY=($(compgen -W "$common" -- "$cur"))
        return
    fi
    if [ "$COMP_CWORD" = 2 ]; then
        COMPREPLY=($(compgen -f -- "$cur"))
        return
    fi
    if [ "$verb" = check ] && [ "$COMP_CWORD" = 3 ]; then
        COMPREPLY=($(compgen -W "invariance coupling nan" -- "$cur"))
        return
    fi
    # Layer names come from the model itself.
    if [ "$verb" != run ] && [ -f "${COMP_WORDS[2]}" ]; then
        local names
        names=$(unbatch summary "${COMP_WORDS[2]}" --json 2>/dev/null |
            sed -n 's/^ *"name": "\([^"]*\)".*/\1/p')
        COMPREPLY=($(compgen -W "$names" -- "$cur"))
    fi
}
complete -o filenames -F _unbatch unbatch
