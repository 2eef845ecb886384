package franz

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/kbench/kbench/internal/client"
	"github.com/kbench/kbench/internal/settings"
)

// reach is what it takes to reach a cluster, for clients that are neither producer nor consumer.
func reach(bootstrap []string, security client.Security) ([]kgo.Opt, error) {
	if len(bootstrap) == 0 {
		return nil, fmt.Errorf("no bootstrap servers")
	}
	full, err := settings.ResolveFor("franz", settings.Consumer, security)
	if err != nil {
		return nil, err
	}
	opts, err := secured(full)
	if err != nil {
		return nil, err
	}
	return append(opts, seeds(bootstrap), kgo.ClientID(full["client.id"]), kgo.DisableClientMetrics()), nil
}

// secured translates Kafka's security settings. What it does not know it refuses.
func secured(full map[string]string) ([]kgo.Opt, error) {
	for _, name := range []string{"ssl.truststore.password", "ssl.keystore.location", "ssl.keystore.password", "ssl.keystore.certificate.chain",
		"ssl.keystore.key", "ssl.key.password"} {
		if full[name] != "" {
			return nil, fmt.Errorf("%s is not supported by the franz driver yet", name)
		}
	}
	var opts []kgo.Opt
	protocol := full["security.protocol"]
	if protocol == "SSL" || protocol == "SASL_SSL" {
		trust, err := trusting(full)
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(trust))
	}
	if protocol == "SASL_PLAINTEXT" || protocol == "SASL_SSL" {
		mechanism, err := authentication(full)
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.SASL(mechanism))
	}
	return opts, nil
}

func trusting(full map[string]string) (*tls.Config, error) {
	pem := []byte(full["ssl.truststore.certificates"])
	if file := full["ssl.truststore.location"]; file != "" {
		if full["ssl.truststore.type"] != "PEM" {
			return nil, fmt.Errorf("ssl.truststore.location: the franz driver reads no Java key stores: convert it to PEM and set ssl.truststore.type=PEM")
		}
		var err error
		if pem, err = os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("ssl.truststore.location: %w", err)
		}
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(pem) > 0 {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ssl.truststore: no certificate in PEM form found")
		}
	}
	if value, set := full["ssl.endpoint.identification.algorithm"]; set && value == "" {
		return nil, fmt.Errorf("ssl.endpoint.identification.algorithm: the franz driver always checks the host's name")
	}
	return conf, nil
}

func authentication(full map[string]string) (sasl.Mechanism, error) {
	user, password, err := settings.Credentials(full["sasl.jaas.config"])
	if err != nil {
		return nil, err
	}
	switch full["sasl.mechanism"] {
	case "PLAIN":
		return plain.Auth{User: user, Pass: password}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return scram.Auth{User: user, Pass: password}.AsSha256Mechanism(), nil
	case "SCRAM-SHA-512":
		return scram.Auth{User: user, Pass: password}.AsSha512Mechanism(), nil
	}
	return nil, fmt.Errorf("sasl.mechanism: %q is not supported by the franz driver (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512)", full["sasl.mechanism"])
}
