# SPDX-License-Identifier: Apache-2.0
"""Every entry of a .pt2 file's module_call_graph becomes a layer, however many there are: the layers of
mlp.pt2 stay what they are behind 20,000 modules without operations, and each of those is listed.
usage: pt2_modules.py UNBATCH FOLDER"""
import json
import pathlib
import subprocess
import sys
import zipfile

MODEL = pathlib.Path(__file__).parent.parent / 'data' / 'pt2' / 'mlp.pt2'
MANY = 20000


def layers(unbatch, path):
    run = subprocess.run([unbatch, 'summary', '--json', path], capture_output=True, text=True, check=True)
    return {r['name']: r for r in json.loads(run.stdout)['layers']}


def widen(path):
    """A copy with more modules: a list and its elements, ahead of the real ones."""
    more = ['idle', *(f'idle.{i}' for i in range(MANY))]
    with zipfile.ZipFile(MODEL) as old, zipfile.ZipFile(path, 'w') as new:
        for name in old.namelist():
            data = old.read(name)
            if '/models/' in name and name.endswith('.json'):
                program = json.loads(data)
                graph = program['graph_module']['module_call_graph']
                graph[1:1] = [{'fqn': n, 'signature': None} for n in more]
                data = json.dumps(program).encode()
            new.writestr(name, data)
    return more[1:]


def main():
    unbatch, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    more = widen(folder / 'many.pt2')
    plain, wide = layers(unbatch, MODEL), layers(unbatch, folder / 'many.pt2')
    lost = {n for n in more if n not in wide or 'no operations of its own' not in wide[n]['missing']}
    changed = {n for n in plain if wide.get(n) != plain[n]}
    if lost or changed or 'idle' in wide or len(wide) != len(plain) + MANY or len(plain) < 4:
        raise SystemExit(f'{len(lost)} modules are not listed, {changed} changed, {len(wide)} layers')
    print(f'{len(plain)} layers behind {MANY} modules')


if __name__ == '__main__':
    main()
