# shellcheck shell=sh disable=SC2154 # common.sh and the scenario have set the rest
# What the package promises: credentials for an identity, or a clear word why not.
# shellcheck source=/dev/null
. "$LIB/spire.sh"

HELPER=aws-spiffe-workload-helper
AGENT='--workload-api-addr unix:///run/spire/agent/public/api.sock'
ANCHOR=arn:aws:rolesanywhere:eu-central-1:123456789012
ROLE=arn:aws:iam::123456789012:role

answers 'it lists its commands' 0 'x509-credential-process' $HELPER --help
answers 'an option is missing' 1 'required flag(s) "audience", "endpoint" not set' $HELPER jwt-credential-process

# Where it alone was built, there is no agent to ask.
[ -n "$VERSIONS" ] || return 0
with_spire

# STS, which knows one role: systemd is it.
cat >/run/systemd/system/sts.socket <<'END'
[Socket]
ListenStream=127.0.0.1:8099
Accept=yes
END
cat >/run/systemd/system/sts@.service <<'END'
[Service]
ExecStart=/bin/sh /run/sts.sh
RuntimeMaxSec=10
StandardInput=socket
END
cat >/run/sts.sh <<'END'
say() { printf 'HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %s\r\n\r\n%s' "$1" "${#2}" "$2"; }
read -r line
case $line in
*Action=AssumeRoleWithWebIdentity*role%2Fgood*WebIdentityToken=ey*)
    say '200 OK' '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>THE-KEY</AccessKeyId><SecretAccessKey>THE-SECRET</SecretAccessKey><SessionToken>THE-TOKEN</SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>' ;;
*) say '403 Forbidden' 'AccessDenied' ;;
esac
cat >/dev/null
END
systemctl daemon-reload
starts sts.socket

# jwt ROLE: the workload asks for credentials.
jwt() {
    # shellcheck disable=SC2086 # a flag and its value
    as_workload $HELPER jwt-credential-process $AGENT --endpoint "http://127.0.0.1:8099/" \
        --audience sts.amazonaws.com --role-arn "$ROLE/$1"
}
answers 'credentials for a JWT' 0 '"AccessKeyId":"THE-KEY"' jwt good
answers 'a role that it may not have' 1 'AccessDenied' jwt bad

# x509 COMMAND...: there is no AWS here.
# shellcheck disable=SC2086 # a flag and its value
x509() {
    "$@" $HELPER x509-credential-process $AGENT --trust-anchor-arn $ANCHOR:trust-anchor/0 \
        --profile-arn $ANCHOR:profile/0 --role-arn $ROLE/good
}
answers 'AWS is not to be reached' 1 'exchanging X509 SVID for AWS credentials' x509 as_workload
answers 'root has no identity' 1 'no identity issued' x509 env
systemctl stop sts.socket

# The example, with what stands for Roles Anywhere (magefiles/internal/rolesanywhere): it
# verifies certificate and signature, and its one role is that of the example.
EXAMPLE=/usr/share/aws-spiffe-workload-helper/examples/roles-anywhere
# as_example USER: what AWS's programs run for credentials.
as_example() {
    setpriv --reuid "$1" --clear-groups env SSL_CERT_FILE=/run/aws.pem sh -c "$(sed -n 's/^credential_process = //p' "$EXAMPLE/config")"
}
getent passwd backup >/dev/null || useradd --system --no-create-home backup
new_entry backup unix:user:backup
spire-server bundle show >/run/anchor.pem
systemd-run --quiet --unit=rolesanywhere "$TOP/tools/rolesanywhere-$ARCH" /run/anchor.pem spiffe://example.org/backup /run/aws.pem
soon 10 'what stands for AWS' 0 'BEGIN CERTIFICATE' cat /run/aws.pem
echo '127.0.0.1 rolesanywhere.eu-central-1.amazonaws.com' >>/etc/hosts
soon 20 'credentials for a certificate' 0 '"AccessKeyId":"THE-KEY"' as_example backup
answers 'another identity' 1 "the role's trust policy names somebody else" as_example 65534
systemctl stop rolesanywhere.service
