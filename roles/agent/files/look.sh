# look.sh VERSION OLDEST: the version of our package that is installed here; whether VERSION would be a step back from it, and
# whether it is older than OLDEST ("yes" or "no"); a hash of the list of its files' hashes. Nothing where it is not installed.
found=$(dpkg-query --show --showformat='${db:Status-Status} ${Version}\n' appliance 2>/dev/null | sed --quiet 's/^installed //p')
test -n "$found" || exit 0
is() { if dpkg --compare-versions "$1" "$2" "$3"; then echo yes; else echo no; fi; }
echo "$found"
is "$1" lt "$found"
is "$found" lt "$2"
echo "$(dpkg-query --control-show appliance md5sums)" | sha256sum | cut --characters=1-64
