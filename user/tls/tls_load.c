/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Loads our certificate, its key, and the CA from their files. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tls/tls_impl.h"

#define SUITES	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:" \
		"TLS_CHACHA20_POLY1305_SHA256"

/* file: the content of a file, which is wiped, since it may be a key. */
struct file {
	char *bytes;
	size_t sz;
};

static void file_free(struct file *f)
{
	if (f->bytes)
		OPENSSL_cleanse(f->bytes, f->sz);
	free(f->bytes);
}

static int file_check(const char *path, const struct stat *st, bool is_key,
		      struct pt_error *err)
{
	if (!S_ISREG(st->st_mode))
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL, "%s: not a "
				    "regular file", path);
	if (st->st_size > PT_TLS_FILE_SZ_MAX)
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL, "%s: too long "
				    "for a PEM file (at most %u bytes)", path,
				    PT_TLS_FILE_SZ_MAX);
	/* A group may read it: Debian's ssl-cert. */
	if (is_key && st->st_mode & S_IRWXO)
		return pt_error_set(err, PT_EXIT_HOST, -EPERM, "%s: its mode "
				    "%04o lets everybody at the key (chmod 600 "
				    "it; if it may have been read, make a new "
				    "one)", path, st->st_mode & 07777);
	return 0;
}

static int file_read(struct file *f, const char *path, bool is_key,
		     struct pt_error *err)
{
	int ret = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t sz;

	if (fd < 0)
		return pt_error_set(err, PT_EXIT_HOST, -errno, "%s: cannot "
				    "read it: %m ({tls-cert}, {tls-key} and "
				    "{tls-ca} name PEM files)", path);
	if (fstat(fd, &st))
		ret = pt_error_set(err, PT_EXIT_HOST, -errno, "%s: %m", path);
	if (!ret)
		ret = file_check(path, &st, is_key, err);
	if (ret)
		goto close;
	f->bytes = malloc(st.st_size + 1);
	if (!f->bytes) {
		ret = pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				   "out of memory");
		goto close;
	}
	sz = read(fd, f->bytes, st.st_size);
	if (sz < 0)
		ret = pt_error_set(err, PT_EXIT_HOST, -errno, "%s: %m", path);
	else
		f->sz = sz;
close:
	close(fd);
	return ret;
}

/* no_password: an encrypted key is an error, never a question. */
static int no_password(char *buf, int sz, int is_writing, void *asked)
{
	(void)buf;
	(void)sz;
	(void)is_writing;
	*(bool *)asked = true;
	return -1;
}

static int bad_file(const char *path, const char *what, struct pt_error *err)
{
	return pt_error_set(err, PT_EXIT_USAGE, -EINVAL, "%s: holds no %s in "
			    "PEM form (is it DER, or another option's?)", path,
			    what);
}

static int rejected(const char *path, struct pt_error *err)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	return pt_error_set(err, PT_EXIT_USAGE, -EKEYREJECTED, "%s: OpenSSL "
			    "refuses it: %s", path, why ? why : "unknown");
}

/* load_chain loads our certificate first, then its chain to the CA. */
static int load_chain(struct pt_tls *t, const char *path, BIO *bio,
		      struct pt_error *err)
{
	bool asked = false;
	int ret = 0;
	X509 *cert = PEM_read_bio_X509_AUX(bio, NULL, no_password, &asked);

	if (!cert)
		return bad_file(path, "certificate", err);
	if (SSL_CTX_use_certificate(t->ctx, cert) != 1)
		ret = rejected(path, err);
	X509_free(cert);
	while (!ret && (cert = PEM_read_bio_X509(bio, NULL, no_password,
						 &asked)))
		if (SSL_CTX_add0_chain_cert(t->ctx, cert) != 1) {
			X509_free(cert);
			ret = rejected(path, err);
		}
	ERR_clear_error();	/* the end of the file is no error */
	return ret;
}

static int load_key(struct pt_tls *t, const char *path, BIO *bio,
		    struct pt_error *err)
{
	bool asked = false;
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, &asked);
	int ret = 0;

	if (!key && asked)
		return pt_error_set(err, PT_EXIT_USAGE, -EINVAL, "%s: the key "
				    "is encrypted (openssl pkey -in FILE -out "
				    "OTHER writes it in clear)", path);
	if (!key)
		return bad_file(path, "private key", err);
	if (SSL_CTX_use_PrivateKey(t->ctx, key) != 1)
		ret = pt_error_set(err, PT_EXIT_USAGE, -EKEYREJECTED, "%s: not "
				   "the key of the certificate ({tls-cert} and "
				   "{tls-key} must be a pair)", path);
	EVP_PKEY_free(key);
	return ret;
}

static int load_ca(struct pt_tls *t, const char *path, BIO *bio,
		   struct pt_error *err)
{
	X509_STORE *store = SSL_CTX_get_cert_store(t->ctx);
	bool asked = false;
	int cnt = 0, ret = 0;
	X509 *cert;

	while (!ret && (cert = PEM_read_bio_X509_AUX(bio, NULL, no_password,
						     &asked))) {
		if (X509_STORE_add_cert(store, cert) != 1)
			ret = rejected(path, err);
		X509_free(cert);
		cnt++;
	}
	ERR_clear_error();
	return cnt || ret ? ret : bad_file(path, "certificate", err);
}

/* with_file passes a file's content to load. */
static int with_file(struct pt_tls *t, const char *path, bool is_key,
		     int (*load)(struct pt_tls *t, const char *path, BIO *bio,
				 struct pt_error *err),
		     struct pt_error *err)
{
	struct file f = { 0 };
	int ret = file_read(&f, path, is_key, err);
	BIO *bio;

	if (ret) {
		file_free(&f);
		return ret;
	}
	ERR_clear_error();
	bio = BIO_new_mem_buf(f.bytes, f.sz);
	ret = bio ? load(t, path, bio, err) :
	      pt_error_set(err, PT_EXIT_HOST, -ENOMEM, "out of memory");
	BIO_free(bio);
	file_free(&f);
	ERR_clear_error();
	return ret;
}

int pt_tls_load(struct pt_tls *t, const struct pt_tls_cfg *cfg,
		struct pt_error *err)
{
	int ret = with_file(t, cfg->cert_path, false, load_chain, err);

	if (!ret)
		ret = with_file(t, cfg->key_path, true, load_key, err);
	if (!ret)
		ret = with_file(t, cfg->ca_path, false, load_ca, err);
	if (ret)
		return ret;
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER |
			   SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	if (SSL_CTX_set_ciphersuites(t->ctx, SUITES) != 1)
		return pt_error_set(err, PT_EXIT_HOST, -ENOMEM,
				    "out of memory");
	return 0;
}

static bool is_past(const X509 *cert)
{
	return X509_cmp_current_time(X509_get0_notAfter(cert)) < 0;
}

bool pt_tls_is_expired(const struct pt_tls *t)
{
	const X509 *own = t ? SSL_CTX_get0_certificate(t->ctx) : NULL;
	STACK_OF(X509) *chain = NULL;

	if (!own)
		return false;
	SSL_CTX_get0_chain_certs(t->ctx, &chain);
	for (int i = 0; i < sk_X509_num(chain); i++)
		if (is_past(sk_X509_value(chain, i)))
			return true;
	return is_past(own);
}
