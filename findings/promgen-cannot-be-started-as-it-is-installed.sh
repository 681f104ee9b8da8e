#!/usr/bin/env bash
# Promgen 0.61.0, as PyPI has it, cannot be started: a file of its own tests is not in the package.
#
# promgen/models.py imports promgen.tests, which opens tests/examples/promgen.yml when it is
# imported. Neither the wheel nor the source package has that file, so that every command ends with
# FileNotFoundError, before any setting is read. With an empty file in its place the commands run.
. "$(dirname "$0")/lib.sh"
python3 -m venv "$folder/venv"
cat >"$folder/requirements.txt" <<REQUIREMENTS
amqp==5.4.2
asgiref==3.13.0
atomicwrites==1.4.1
billiard==4.3.2
celery==5.4.0
certifi==2026.10.19.post1
cffi==2.1.1
charset-normalizer==3.5.3
click==8.5.1
click-didyoumean==0.3.1
click-plugins==1.1.1.2
click-repl==0.4.1
cryptography==50.0.2
defusedxml==0.7.1
django==3.2.25
django-environ==0.14.0
django-filter==23.5
djangorestframework==3.15.1
idna==3.20
kombu==5.7.0
oauthlib==4.0.1
prometheus-client==0.26.0
promgen==0.61.0
prompt-toolkit==3.0.53
pycparser==3.12
pyjwt==2.15.1
python-dateutil==4.0.0
python3-openid==3.2.0
pytz==2026.6
pyyaml==6.0.4
redis==8.1.0
requests==2.34.2
requests-oauthlib==2.0.0
setuptools==80.10.2
six==1.17.0
social-auth-app-django==5.4.3
social-auth-core==4.9.1
sqlparse==0.6.1
typing-extensions==4.16.0
tzdata==2026.6
urllib3==2.8.0
vine==5.1.0
wcwidth==0.9.4
REQUIREMENTS
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install --no-deps \
    -r "$folder/requirements.txt"

export CONFIG_DIR=$folder DATABASE_URL=sqlite:///$folder/db SECRET_KEY=none
# last_line: run `promgen check` and print the last line of what it says.
last_line() {
    (cd "$folder" && "$folder/venv/bin/promgen" check 2>&1 || true) | tail -n 1 | sed "s|$folder.*/promgen/|promgen/|"
}
expect "as installed" "$(last_line)" \
    "FileNotFoundError: [Errno 2] No such file or directory: 'promgen/tests/examples/promgen.yml'"
examples=$(echo "$folder"/venv/lib/python3*/site-packages/promgen/tests)/examples
mkdir -p "$examples"
echo '{}' >"$examples/promgen.yml"
expect "with an empty file there" "$(last_line | grep -o 'System check identified')" \
    "System check identified"
