#!/bin/sh
# At the first start, creates the broker's users with random passwords, and a token for edgepub's page.
# Mosquitto's files are readable for its user only, as it requires, and edgepub's files for edgepub's user only.
# To get new passwords, delete Mosquitto's password file. To get a new token, delete edgepub's token.
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
    printf -- '-u me\n-P %s\n' "$password" > "$mosquitto/mosquitto_sub" # mosquitto_sub reads this automatically
    cp "$mosquitto/mosquitto_sub" "$mosquitto/mosquitto_pub"
    mv "$mosquitto/new" "$mosquitto/passwords" # last, so that an interrupted run starts again
fi
cp "$acl" "$mosquitto/acl"
cp "$mosquitto/edgepub" "$edgepub/mqtt_password"
chown 1883:1883 "$socket" "$mosquitto"/*
if [ ! -s "$edgepub/http_token" ]; then
    random > "$edgepub/new"
    mv "$edgepub/new" "$edgepub/http_token"
fi
chown 10001:10001 "$edgepub/mqtt_password" "$edgepub/http_token"
