# bash completion for fake-cobra

_fake_cobra() {
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
            ' run' | \
                ' sign' | \
                ' sign all') path+=" ${COMP_WORDS[i]}" ;;
            *) break ;;
        esac
    done

    # The value of a flag.
    case "$path $prev" in
        *' -a' | \
            *' -addr' | \
            *' -history' | \
            *' -key' | \
            *' -skip')
            return
            ;;
        *' -c' | \
            *' -config-file')
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return
            ;;
        *' -auth')
            mapfile -t COMPREPLY < <(compgen -W 'token tls off' -- "$cur")
            return
            ;;
        *) ;;
    esac

    case "$path" in
        '')
            subcommands='run sign'
            flags=' --help --debug --version'
            ;;
        ' run')
            flags=' --help --addr --auth --config-file --history --server --skip --debug'
            ;;
        ' sign')
            subcommands='all'
            flags=' --help --debug'
            ;;
        ' sign all')
            flags=' --help --key --debug'
            ;;
        *) ;;
    esac
    if [[ -z $cur && -n $subcommands ]]; then
        flags=''
    fi
    mapfile -t COMPREPLY < <(compgen -W "$subcommands$flags" -- "$cur")
}

complete -F _fake_cobra fake-cobra
