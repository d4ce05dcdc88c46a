#!/bin/sh
# An ACME client in the manner of acme.sh: openssl and curl, an RSA account key, a challenge server of its own.
# acme-shell.sh DIRECTORY CA_FILE EAB_KID EAB_KEY http-01|tls-alpn-01 ADDRESS PORT NAME WORK_FOLDER
set -eu
directory=$1 ca=$2 kid_eab=$3 key_eab=$4 kind=$5 address=$6 port=$7 name=$8 work=$9
cd "$work"
ask() { curl -sS --cacert "$ca" --max-time 20 "$@"; }
b64() { openssl base64 -A | tr -- '+/' '-_' | tr -d '='; }
field() { sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p" | head -n 1; }
unhex() { python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read().strip()))'; }
hex() { od -An -v -tx1 | tr -d ' \n'; }

ask "$directory" >directory.json
new_nonce=$(field newNonce <directory.json)
new_account=$(field newAccount <directory.json)
new_order=$(field newOrder <directory.json)

openssl genrsa -out account.key 2048 2>/dev/null
modulus=$(openssl rsa -in account.key -noout -modulus | sed 's/Modulus=//' | unhex | b64)
jwk="{\"e\":\"AQAB\",\"kty\":\"RSA\",\"n\":\"$modulus\"}"
thumbprint=$(printf %s "$jwk" | openssl dgst -sha256 -binary | b64)
account=''

# post URL PAYLOAD: signed with the account's key; answer in body, head in head
post() {
  nonce=$(ask -I "$new_nonce" | tr -d '\r' | sed -n 's/^[Rr]eplay-[Nn]once: //p')
  if [ -n "$account" ]; then who="\"kid\":\"$account\""; else who="\"jwk\":$jwk"; fi
  protected=$(printf '{"alg":"RS256","nonce":"%s","url":"%s",%s}' "$nonce" "$1" "$who" | b64)
  payload=$(printf %s "$2" | b64)
  signature=$(printf %s "$protected.$payload" | openssl dgst -sha256 -sign account.key | b64)
  printf '{"protected":"%s","payload":"%s","signature":"%s"}' "$protected" "$payload" "$signature" |
    ask -D head -o body -H 'content-type: application/jose+json' --data-binary @- "$1"
}
location() { tr -d '\r' <head | sed -n 's/^[Ll]ocation: //p'; }

# External account binding (RFC 8555 section 7.3.4)
eab_protected=$(printf '{"alg":"HS256","kid":"%s","url":"%s"}' "$kid_eab" "$new_account" | b64)
eab_payload=$(printf %s "$jwk" | b64)
eab_hex=$(printf '%s=' "$key_eab" | tr -- '_-' '/+' | openssl base64 -d -A | hex)
eab_signature=$(printf %s "$eab_protected.$eab_payload" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$eab_hex" -binary | b64)
eab="{\"protected\":\"$eab_protected\",\"payload\":\"$eab_payload\",\"signature\":\"$eab_signature\"}"
post "$new_account" "{\"termsOfServiceAgreed\":true,\"externalAccountBinding\":$eab}"
account=$(location)

post "$new_order" "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"$name\"}]}"
order=$(location)
finalize=$(field finalize <body)
authorization=$(tr -d '\n ' <body | sed 's/.*"authorizations":\["\([^"]*\)".*/\1/')
post "$authorization" ''
challenge=$(tr -d '\n ' <body | sed 's/},{/}\n{/g' | grep "\"$kind\"")
token=$(printf %s "$challenge" | field token)
url=$(printf %s "$challenge" | field url)

if [ "$kind" = http-01 ]; then
  mkdir -p site/.well-known/acme-challenge
  printf %s "$token.$thumbprint" >"site/.well-known/acme-challenge/$token"
  (cd site && exec python3 -m http.server --bind "$address" "$port") >server.log 2>&1 &
else
  digest=$(printf %s "$token.$thumbprint" | openssl dgst -sha256 | sed 's/.*= *//')
  cat >alpn.cnf <<END
[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = $name
[extensions]
keyUsage = keyEncipherment
subjectAltName = DNS:$name
1.3.6.1.5.5.7.1.31 = critical,DER:0420$digest
END
  openssl req -x509 -newkey rsa:2048 -nodes -keyout alpn.key -out alpn.pem -days 1 -config alpn.cnf 2>/dev/null
  openssl s_server -accept "$address:$port" -cert alpn.pem -key alpn.key -alpn acme-tls/1 -quiet >server.log 2>&1 &
fi
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
tries=0
until curl -s -o probe.out --max-time 2 "http://$address:$port/" || [ $? -ne 7 ]; do
  tries=$((tries + 1))
  [ $tries -lt 200 ] || { echo 'the challenge server does not start'; exit 1; }
  sleep 0.05
done

post "$url" '{}'
tries=0
while :; do
  post "$authorization" ''
  case $(field status <body) in
    valid) break ;;
    pending) ;;
    *) cat body; exit 1 ;;
  esac
  tries=$((tries + 1))
  [ $tries -lt 200 ] || { echo 'the authorization stays pending'; exit 1; }
  sleep 0.1
done

openssl req -new -newkey rsa:2048 -nodes -keyout own.key -subj "/CN=$name" -addext "subjectAltName=DNS:$name" -outform DER -out own.csr 2>/dev/null
post "$finalize" "{\"csr\":\"$(b64 <own.csr)\"}"
tries=0
while certificate=$(field certificate <body); [ -z "$certificate" ]; do
  tries=$((tries + 1))
  [ $tries -lt 200 ] || { cat body; exit 1; }
  sleep 0.1
  post "$order" ''
done
post "$certificate" ''
cp body chain.pem
