# shellcheck shell=sh disable=SC2154 # common.sh and the scenario have set the rest
# What the package promises: decisions by the policies in its folder, on a socket that
# everybody may ask, and nobody may change anything by.
# shellcheck source=/dev/null
. "$LIB/spire.sh"

UNIT=opa.service
SOCKET=/run/opa/public/opa.sock
POLICIES=/etc/opa/policies

# ask METHOD PATH [DATA]: as a user without any right; the last line is HTTP's status.
ask() {
    setpriv --reuid 65534 --regid 65534 --clear-groups curl --silent --show-error --max-time 10 --unix-socket $SOCKET \
        --write-out '\n%{http_code}\n' --request "$1" ${3:+--data "$3"} "http://localhost$2"
}
# may ID METHOD: what the example's policy says.
may() { ask POST /v1/data/orders/allow "{\"input\": {\"spiffe_id\": \"spiffe://example.org/$1\", \"method\": \"$2\"}}"; }

answers 'the policy as it is installed' 0 '' opa check --strict $POLICIES
answers 'the tests of the example' 0 'PASS: 3/3' opa test /usr/share/opa/examples/spiffe
starts $UNIT
answers 'its health, at once' 0 200 ask GET /health

runs $UNIT opa

# A policy counts as soon as it is there.
cp /usr/share/opa/examples/spiffe/orders.rego $POLICIES
soon 20 'a decision' 0 '{"result":true}' may shop POST
answers 'another one' 0 '{"result":false}' may billing/eu POST
answers 'and one of a stranger' 0 '{"result":false}' may nobody GET

# Nobody changes or reads what decides.
for question in 'PUT /v1/policies/orders' 'DELETE /v1/policies/orders.rego' 'GET /v1/policies' 'GET /v1/data' \
    'PUT /v1/data/orders' 'PATCH /v1/data/orders' 'GET /v1/data/system/authz' 'GET /v1/config' 'POST /v1/query' 'POST /v1/compile'; do
    # shellcheck disable=SC2086 # two words
    answers "$question is refused" 0 401 ask $question '{}'
done
answers 'and changes nothing' 0 '{"result":true}' may shop POST

# A policy that is not valid leaves the former one.
cp $POLICIES/orders.rego /run/orders.rego
echo 'allow if {' >>$POLICIES/orders.rego
soon 20 'a broken policy' 0 'rego_parse_error' journalctl --unit=$UNIT --no-pager
answers 'the former one decides' 0 '{"result":true}' may shop POST
same 'restarts' 0 "$(systemctl show --property=NRestarts --value $UNIT)"

# A start fails with it, as who waits for it is told.
quietly systemctl restart $UNIT
[ "$CODE" -ne 0 ] || fail 'a start with a broken policy, expected that it fails, got that it is started'
ok "a start with a broken policy: $(brief)"
systemctl stop $UNIT
mv /run/orders.rego $POLICIES/orders.rego
starts $UNIT
answers 'the former one decides, at once' 0 '{"result":true}' may shop POST

# A kill leaves nothing in the way.
systemctl kill --signal=KILL $UNIT
soon 20 'after a kill' 0 '{"result":true}' may shop POST
systemctl stop $UNIT
same 'stopping it' success "$(systemctl show --property=Result --value $UNIT)"
