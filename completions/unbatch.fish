# fish completion for unbatch
set -l verbs summary get run bench help
complete -c unbatch -n "not __fish_seen_subcommand_from $verbs" -f -a "$verbs"
complete -c unbatch -s x -l input -r -d 'a model input'
complete -c unbatch -s o -l output -r -d 'where to write' -n '__fish_seen_subcommand_from get run'
complete -c unbatch -l shape -x -d "a model input's shape" -n '__fish_seen_subcommand_from summary'
complete -c unbatch -l from -r -d 'start at an inner value' -n '__fish_seen_subcommand_from get run bench'
complete -c unbatch -l raw -d 'index the stored shape' -n '__fish_seen_subcommand_from get'
complete -c unbatch -l alone -d 'each sample by itself' -n '__fish_seen_subcommand_from get run'
complete -c unbatch -l top -x -d 'largest entries' -n '__fish_seen_subcommand_from run'
complete -c unbatch -l labels -r -d 'names, one a line' -n '__fish_seen_subcommand_from run'
complete -c unbatch -s n -l runs -x -d 'runs' -n '__fish_seen_subcommand_from bench'
complete -c unbatch -l layers -d 'time of every step' -n '__fish_seen_subcommand_from bench'
complete -c unbatch -l json -d 'machine-readable output'
complete -c unbatch -s t -l threads -x -d 'threads'
complete -c unbatch -s m -l mem -x -d 'memory limit'
complete -c unbatch -l reference -d 'plain C kernels only'
complete -c unbatch -s q -l quiet -d 'no notes, no progress'
complete -c unbatch -s h -l help -d 'help'
