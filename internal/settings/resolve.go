package settings

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Resolve checks a client's settings and fills in what is unset with the defaults of Kafka's Java client, so that the
// result says everything that both drivers agree on. Values come back in raw units; names of a library's own come
// back as they were. All problems are reported at once.
//
// enable.idempotence follows the Java client 4.x (ProducerConfig.postProcessAndValidateIdempotenceConfigs): asked for
// beside acks, retries or in-flight requests that rule it out, it is a contradiction; not set, it gives way.
func Resolve(role Role, asked map[string]string) (map[string]string, error) {
	var problems []error
	full := make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		s, ok := Lookup(role, name)
		if !ok {
			problems = append(problems, unknown(role, name))
			continue
		}
		value, err := Parse(s, asked[name])
		if err != nil {
			problems = append(problems, err)
			continue
		}
		full[name] = value
	}
	for _, s := range All(role) {
		if _, set := full[s.Name]; !set && s.Default != "" {
			full[s.Name] = s.Default
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	if role == Producer {
		problems = append(problems, agreeOnIdempotence(full, asked), agreeOnTime(full, asked))
	} else {
		problems = append(problems, agreeOnGroup(full))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return full, nil
}

// IdempotenceInFlight is the most requests in flight with which brokers keep an idempotent producer's order.
const IdempotenceInFlight = 5

func agreeOnIdempotence(full, asked map[string]string) error {
	explicit := asked["enable.idempotence"] != ""
	if full["enable.idempotence"] == "true" {
		var against []string
		if full["acks"] != "all" {
			against = append(against, "acks="+full["acks"])
		}
		if full["retries"] == "0" {
			against = append(against, "retries=0")
		}
		switch {
		case len(against) > 0 && explicit:
			return fmt.Errorf("enable.idempotence=true contradicts %s", against[0])
		case len(against) > 0:
			full["enable.idempotence"] = "false"
		case Number(full, "max.in.flight.requests.per.connection") > IdempotenceInFlight:
			return fmt.Errorf("max.in.flight.requests.per.connection=%s contradicts enable.idempotence=true, which allows at most %d",
				full["max.in.flight.requests.per.connection"], IdempotenceInFlight)
		}
	}
	if full["transactional.id"] != "" && full["enable.idempotence"] == "false" {
		return fmt.Errorf("transactional.id needs an idempotent producer: acks=all, retries above 0, enable.idempotence not false")
	}
	return nil
}

// agreeOnTime is the Java client's rule that a record must have time to linger and to be asked for once.
func agreeOnTime(full, asked map[string]string) error {
	least := Number(full, "linger.ms") + Number(full, "request.timeout.ms")
	if Number(full, "delivery.timeout.ms") >= least {
		return nil
	}
	if asked["delivery.timeout.ms"] != "" {
		return fmt.Errorf("delivery.timeout.ms=%s is below linger.ms + request.timeout.ms = %d: lower request.timeout.ms (%s) or raise it",
			full["delivery.timeout.ms"], least, full["request.timeout.ms"])
	}
	full["delivery.timeout.ms"] = strconv.FormatInt(least, 10)
	return nil
}

func agreeOnGroup(full map[string]string) error {
	if full["group.protocol"] == "consumer" {
		// The group's own configuration on the brokers rules these (KIP-848).
		for _, name := range []string{"session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"} {
			delete(full, name)
		}
		return nil
	}
	if Number(full, "heartbeat.interval.ms") >= Number(full, "session.timeout.ms") {
		return fmt.Errorf("heartbeat.interval.ms=%s must be below session.timeout.ms=%s", full["heartbeat.interval.ms"], full["session.timeout.ms"])
	}
	if full["group.instance.id"] != "" && full["group.id"] == "" {
		return fmt.Errorf("group.instance.id needs group.id")
	}
	return nil
}

// Number reads a resolved setting that is a number, 0 where it is not set.
func Number(full map[string]string, name string) int64 {
	n, _ := strconv.ParseInt(full[name], 10, 64)
	return n
}

// notOf refuses names of a library's own for a driver of another, all at once.
func notOf(driver string, role Role, asked map[string]string) error {
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		if s, ok := Lookup(role, name); ok && s.Library != "" {
			problems = append(problems, fmt.Errorf("the %s driver has no %s: it is a setting of %s", driver, name, s.Library))
		}
	}
	return errors.Join(problems...)
}

// ResolveFor is Resolve for a driver that knows no names of librdkafka's.
func ResolveFor(driver string, role Role, asked map[string]string) (map[string]string, error) {
	full, err := Resolve(role, asked)
	if err != nil {
		return nil, err
	}
	if err := notOf(driver, role, full); err != nil {
		return nil, err
	}
	return full, nil
}
