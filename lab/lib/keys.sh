# shellcheck shell=bash
# Test keys: an SSH key pair for host 2, a test CA with server and client certificates for host 3.
# They are made once per state folder and are worth nothing outside the lab.

SSH_DIR=$CACHE/ssh
PKI_DIR=$CACHE/pki

make_ssh_keys() {
    [[ -f $SSH_DIR/known_hosts ]] && return
    rm -rf "$SSH_DIR"
    mkdir -p "$SSH_DIR"
    chmod 700 "$SSH_DIR"
    ssh-keygen -q -t ed25519 -N '' -C 'ulm lab client' -f "$SSH_DIR/id"
    ssh-keygen -q -t ed25519 -N '' -C 'ulm lab host' -f "$SSH_DIR/host"
    ssh-keygen -q -t ed25519 -N '' -C 'ulm lab stranger' -f "$SSH_DIR/stranger"
    local key
    key=$(cut -d' ' -f1,2 "$SSH_DIR/host.pub")
    # The same file with the wrong key serves tests of "the host's key has changed".
    echo "$(host_ip 2),[$(host_ip 2)]:2222 $(cut -d' ' -f1,2 "$SSH_DIR/stranger.pub")" >"$SSH_DIR/known_hosts.wrong"
    # virsh hands keyfile to ssh but not known_hosts, so it gets a wrapper (`lab uri 2 --virsh`).
    printf '#!/bin/sh\nexec ssh -o UserKnownHostsFile=%s -o StrictHostKeyChecking=yes "$@"\n' "$SSH_DIR/known_hosts" >"$SSH_DIR/ssh"
    chmod 755 "$SSH_DIR/ssh"
    echo "$(host_ip 2),[$(host_ip 2)]:2222 $key" >"$SSH_DIR/known_hosts"
}

# issue CA_DIR OUT NAME EXTENSIONS...: a key and a certificate signed by the CA.
issue() {
    local ca=$1 out=$2 name=$3
    shift 3
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/O=ULM lab/CN=$name" \
        -keyout "$out.key" -out "$out.csr" 2>/dev/null
    openssl x509 -req -in "$out.csr" -CA "$ca/cacert.pem" -CAkey "$ca/cakey.pem" -CAcreateserial -days 3650 \
        -extfile <(printf '%s\n' 'basicConstraints=critical,CA:FALSE' 'keyUsage=critical,digitalSignature,keyEncipherment' "$@") \
        -out "$out.pem" 2>/dev/null
    rm -f "$out.csr"
}

make_ca() {
    mkdir -p "$1"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/O=ULM lab/CN=$2" \
        -addext 'keyUsage=critical,keyCertSign,cRLSign' \
        -keyout "$1/cakey.pem" -out "$1/cacert.pem" 2>/dev/null
}

# Folders as libvirt's ?pkipath= wants them: client/ is good, stranger/ is signed by another CA.
make_pki() {
    [[ -f $PKI_DIR/done ]] && return
    rm -rf "$PKI_DIR"
    make_ca "$PKI_DIR/ca" 'ULM lab test CA'
    make_ca "$PKI_DIR/other-ca" 'another test CA'
    mkdir -p "$PKI_DIR"/{server,client,stranger}
    issue "$PKI_DIR/ca" "$PKI_DIR/server/cert" labh3 "subjectAltName=DNS:labh3,IP:$(host_ip 3)" extendedKeyUsage=serverAuth
    issue "$PKI_DIR/ca" "$PKI_DIR/client/c" 'ulm controller' extendedKeyUsage=clientAuth
    issue "$PKI_DIR/other-ca" "$PKI_DIR/stranger/c" 'stranger' extendedKeyUsage=clientAuth
    local d
    for d in client stranger; do
        mv "$PKI_DIR/$d/c.pem" "$PKI_DIR/$d/clientcert.pem"
        mv "$PKI_DIR/$d/c.key" "$PKI_DIR/$d/clientkey.pem"
        cp "$PKI_DIR/ca/cacert.pem" "$PKI_DIR/$d/cacert.pem"
    done
    cp "$PKI_DIR/ca/cacert.pem" "$PKI_DIR/server/cacert.pem"
    : >"$PKI_DIR/done"
}
