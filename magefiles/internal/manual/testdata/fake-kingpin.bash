# bash completion for fake-kingpin

_fake_kingpin() {
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
            ' server' | \
                ' client') path+=" ${COMP_WORDS[i]}" ;;
            *) break ;;
        esac
    done

    # The value of a flag.
    case "$path $prev" in
        *' -allow-uri' | \
            *' -ca' | \
            *' -connect-timeout' | \
            *' -listen')
            return
            ;;
        *' -store')
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return
            ;;
        *) ;;
    esac

    case "$path" in
        '')
            subcommands='server client'
            flags=' --help --connect-timeout --quiet --store --use-workload-api --version'
            ;;
        ' server')
            flags=' --help --allow-all --allow-uri --ca --listen --connect-timeout --quiet --store --use-workload-api'
            ;;
        ' client')
            flags=' --help --listen --connect-timeout --quiet --store --use-workload-api'
            ;;
        *) ;;
    esac
    if [[ -z $cur && -n $subcommands ]]; then
        flags=''
    fi
    mapfile -t COMPREPLY < <(compgen -W "$subcommands$flags" -- "$cur")
}

complete -F _fake_kingpin fake-kingpin
