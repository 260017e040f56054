#!/bin/sh
# Makes the broker's users, at the first start: a random password for each; and a token for edgepub's page. Mosquitto's
# files are its user's and nobody else's, as it wants them; so are edgepub's. Remove Mosquitto's password file to have
# new passwords, and edgepub's token to have a new one.
#   passwords.sh SECRETS-OF-MOSQUITTO SECRETS-OF-EDGEPUB SOCKET-FOLDER ACL
set -eu
umask 077
mosquitto=$1 edgepub=$2 socket=$3 acl=$4

random() {
    od -A n -N 16 -t x1 /dev/urandom | tr -d ' \n'
}

if [ ! -s "$mosquitto/passwords" ]; then
    : > "$mosquitto/new"
    for user in edgepub homeassistant me; do
        password=$(random)
        printf '%s\n' "$password" > "$mosquitto/$user"
        printf '%s:%s\n' "$user" "$password" >> "$mosquitto/new"
    done
    mosquitto_passwd -U "$mosquitto/new"
    printf -- '-u me\n-P %s\n' "$password" > "$mosquitto/mosquitto_sub" # what mosquitto_sub reads of its own accord
    cp "$mosquitto/mosquitto_sub" "$mosquitto/mosquitto_pub"
    mv "$mosquitto/new" "$mosquitto/passwords" # last: what is interrupted begins anew
fi
cp "$acl" "$mosquitto/acl"
cp "$mosquitto/edgepub" "$edgepub/mqtt_password"
chown 1883:1883 "$socket" "$mosquitto"/*
if [ ! -s "$edgepub/http_token" ]; then
    random > "$edgepub/new"
    mv "$edgepub/new" "$edgepub/http_token"
fi
chown 10001:10001 "$edgepub/mqtt_password" "$edgepub/http_token"
