package settings

import (
	"fmt"
	"regexp"
	"strings"
)

// IsSecurity tells whether a setting of Kafka's is about reaching a secured cluster.
func IsSecurity(name string) bool {
	return strings.HasPrefix(name, "security.") || strings.HasPrefix(name, "sasl.") || strings.HasPrefix(name, "ssl.")
}

// security translates the security settings of Kafka's Java clients to librdkafka's.
func (t *translation) security() error {
	for _, step := range []func() error{t.sasl, t.truststore, t.keystore} {
		if err := step(); err != nil {
			return err
		}
	}
	t.carry("security.protocol", "security.protocol")
	t.carry("ssl.key.password", "ssl.key.password")
	if value, ok := t.full["ssl.endpoint.identification.algorithm"]; ok {
		if value == "" {
			value = "none"
		}
		t.set("ssl.endpoint.identification.algorithm", value, "ssl.endpoint.identification.algorithm")
	}
	return nil
}

func (t *translation) carry(kafka, own string) {
	if value, ok := t.full[kafka]; ok {
		t.set(own, value, kafka)
	}
}

func (t *translation) sasl() error {
	t.carry("sasl.mechanism", "sasl.mechanism")
	jaas, ok := t.full["sasl.jaas.config"]
	if !ok {
		return nil
	}
	user, password, err := Credentials(jaas)
	if err != nil {
		return err
	}
	t.set("sasl.username", user, "sasl.jaas.config")
	t.set("sasl.password", password, "sasl.jaas.config")
	return nil
}

func (t *translation) truststore() error {
	t.carry("ssl.truststore.certificates", "ssl.ca.pem")
	if t.full["ssl.truststore.password"] != "" {
		return fmt.Errorf("ssl.truststore.password: a trust store in PEM form has none")
	}
	if _, ok := t.full["ssl.truststore.location"]; !ok {
		return nil
	}
	if t.full["ssl.truststore.type"] != "PEM" {
		return fmt.Errorf("ssl.truststore.location: librdkafka reads no Java key stores: convert it to PEM and set ssl.truststore.type=PEM")
	}
	t.carry("ssl.truststore.location", "ssl.ca.location")
	return nil
}

func (t *translation) keystore() error {
	t.carry("ssl.keystore.certificate.chain", "ssl.certificate.pem")
	t.carry("ssl.keystore.key", "ssl.key.pem")
	if _, ok := t.full["ssl.keystore.location"]; !ok {
		return nil
	}
	switch t.full["ssl.keystore.type"] {
	case "PKCS12":
		t.carry("ssl.keystore.location", "ssl.keystore.location")
		t.carry("ssl.keystore.password", "ssl.keystore.password")
	case "PEM": // one file with both
		if t.full["ssl.keystore.password"] != "" {
			return fmt.Errorf("ssl.keystore.password: a key store in PEM form has none (its key may have ssl.key.password)")
		}
		t.carry("ssl.keystore.location", "ssl.certificate.location")
		t.carry("ssl.keystore.location", "ssl.key.location")
	default:
		return fmt.Errorf("ssl.keystore.location: librdkafka reads no Java key stores: convert it to PKCS#12 and set ssl.keystore.type=PKCS12")
	}
	return nil
}

var jaasOption = regexp.MustCompile(`\b(username|password)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\s;]+))`)

// Credentials reads the user and password out of a sasl.jaas.config of Kafka's PlainLoginModule or ScramLoginModule.
// The error never shows them.
func Credentials(jaas string) (user, password string, err error) {
	if !strings.Contains(jaas, "PlainLoginModule") && !strings.Contains(jaas, "ScramLoginModule") {
		return "", "", fmt.Errorf("sasl.jaas.config: only PlainLoginModule and ScramLoginModule are understood")
	}
	for _, m := range jaasOption.FindAllStringSubmatch(jaas, -1) {
		value := strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(m[2]) + m[3] + m[4]
		if m[1] == "username" {
			user = value
		} else {
			password = value
		}
	}
	if user == "" || password == "" {
		return "", "", fmt.Errorf("sasl.jaas.config: no username or no password in it")
	}
	return user, password, nil
}
