#!/bin/sh
# Makes the certificates of the TLS tests anew: a CA, a server for localhost, a client, and a second CA with a
# client that nobody trusts. They are worth nothing outside these tests.
set -eu
cd "$(dirname "$0")"
ca() { # folder name
    mkdir -p "$1"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj "/CN=$2" \
        -keyout "$1/cakey.pem" -out "$1/cacert.pem" -addext keyUsage=critical,keyCertSign
}
leaf() { # folder name subject extensions
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$3" \
        -keyout "$1/$2key.pem" -out "$1/$2.csr"
    printf '%s\n' "basicConstraints=critical,CA:FALSE" "keyUsage=critical,digitalSignature,keyEncipherment" "$4" > "$1/$2.ext"
    openssl x509 -req -in "$1/$2.csr" -CA "$1/cacert.pem" -CAkey "$1/cakey.pem" -CAcreateserial \
        -days 36500 -extfile "$1/$2.ext" -out "$1/$2cert.pem"
    rm "$1/$2.csr" "$1/$2.ext"
}
ca good "Test CA"
leaf good server localhost "extendedKeyUsage=serverAuth
subjectAltName=DNS:localhost,IP:127.0.0.1"
leaf good client "Test client" "extendedKeyUsage=clientAuth"
ca stranger "Another CA"
leaf stranger client "A stranger" "extendedKeyUsage=clientAuth"
rm -f good/cakey.pem good/*.srl stranger/cakey.pem stranger/*.srl
