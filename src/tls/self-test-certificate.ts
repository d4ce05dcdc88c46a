/**
 * A self-signed certificate for the self-test's loopback pair, valid until 2126. Its key is public: nothing else may
 * ever use it, and its name can belong to nobody (RFC 2606).
 */

export const testName = 'self-test.invalid'

export const testChainPem = `-----BEGIN CERTIFICATE-----
MIIBrTCCAVOgAwIBAgIUT/K9r6/wDX2rTTsVdPPv/OWNy88wCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRc2VsZi10ZXN0LmludmFsaWQwIBcNMjYxMTIxMDMwNzQ3WhgP
MjEyNjEwMjgwMzA3NDdaMBwxGjAYBgNVBAMMEXNlbGYtdGVzdC5pbnZhbGlkMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeVnDPI1L74vvd3vRsS5HkWvdKEemW9Uf
psH0Ei48Mlx/SN1ciURzLwPegeGS8cBGC3o6HY6uVvn6NGvAU7/IwKNxMG8wHQYD
VR0OBBYEFIz5eX0h/dg+9FbBJdk+vqH4AtkcMB8GA1UdIwQYMBaAFIz5eX0h/dg+
9FbBJdk+vqH4AtkcMA8GA1UdEwEB/wQFMAMBAf8wHAYDVR0RBBUwE4IRc2VsZi10
ZXN0LmludmFsaWQwCgYIKoZIzj0EAwIDSAAwRQIgM9bRHTVXNcUGl7FpArvzY8CT
vyzrSp3EebYidrnOydYCIQCZa9kfvN40k8loKAcDs5+a7jHGFGZ7FRyrnOaWQLgf
hA==
-----END CERTIFICATE-----
`

export const testKeyPem = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg0sCRvvOuNwxEdSAD
2wAeUnn11urdhEKU0rhcvZuikyGhRANCAAR5WcM8jUvvi+93e9GxLkeRa90oR6Zb
1R+mwfQSLjwyXH9I3VyJRHMvA96B4ZLxwEYLejodjq5W+fo0a8BTv8jA
-----END PRIVATE KEY-----
`
