# bash completion for fake-flags

_fake_flags() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local path='' flags='' subcommands='' i

    # Bash splits -flag=value at the equals sign.
    if [[ $cur == '=' ]]; then
        cur=''
    elif [[ $prev == '=' ]] && ((COMP_CWORD > 1)); then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    [[ $prev == --* ]] && prev=${prev#-}
    COMPREPLY=()

    # The subcommand is the known words before the first flag.
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$path ${COMP_WORDS[i]}" in
            *) break ;;
        esac
    done

    # The value of a flag.
    case "$path $prev" in
        *' -config')
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return
            ;;
        *) ;;
    esac

    case "$path" in
        '')
            flags=' -help -config -environment -version'
            ;;
        *) ;;
    esac
    if [[ $cur == --* ]]; then
        flags=${flags// -/ --}
    elif [[ -z $cur && -n $subcommands ]]; then
        flags=''
    fi
    mapfile -t COMPREPLY < <(compgen -W "$subcommands$flags" -- "$cur")
}

complete -F _fake_flags fake-flags
