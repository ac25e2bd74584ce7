# What this machine is, in one look instead of four: its system; "container" or "machine"; how many keys root has; then name
# and version of those of the packages "$@" that are installed.
. /etc/os-release
echo "$ID ${VERSION_ID:-}"
if systemd-detect-virt --quiet --container; then echo container; else echo machine; fi
cat ~root/.ssh/authorized_keys 2>/dev/null | grep --count '^[^#]'
dpkg-query --show --showformat='${db:Status-Status} ${Package} ${Version}\n' "$@" 2>/dev/null | sed --quiet 's/^installed //p'
