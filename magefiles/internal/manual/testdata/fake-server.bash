# bash completion for fake-server

_fake_server() {
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
            ' bundle' | \
                ' bundle set' | \
                ' bundle show' | \
                ' fetch' | \
                ' fetch jwt' | \
                ' run') path+=" ${COMP_WORDS[i]}" ;;
            *) break ;;
        esac
    done

    # The value of a flag.
    case "$path $prev" in
        *' -ttl')
            return
            ;;
        *' -dataDir')
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -d -- "$cur")
            return
            ;;
        *' -config' | \
            *' -path' | \
            *' -socketPath')
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return
            ;;
        *' -logLevel')
            mapfile -t COMPREPLY < <(compgen -W 'debug info error' -- "$cur")
            return
            ;;
        *' -format')
            mapfile -t COMPREPLY < <(compgen -W 'pem spiffe' -- "$cur")
            return
            ;;
        *) ;;
    esac

    case "$path" in
        '')
            subcommands='bundle fetch run'
            flags=' -help -version'
            ;;
        ' bundle')
            subcommands='set show'
            flags=' -help'
            ;;
        ' bundle set')
            flags=' -help -format -path -socketPath'
            ;;
        ' bundle show')
            flags=' -help -socketPath'
            ;;
        ' fetch')
            subcommands='jwt'
            flags=' -help -socketPath'
            ;;
        ' fetch jwt')
            flags=' -help -format -path -socketPath'
            ;;
        ' run')
            flags=' -help -config -dataDir -logLevel -q -ttl'
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

complete -F _fake_server fake-server
