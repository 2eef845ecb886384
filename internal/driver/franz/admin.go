package franz

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kbench/kbench/internal/client"
)

// How an administrator deals with brokers that are dead or stopped: none is waited for longer than a request's time,
// and another is asked until a call's time is over.
const (
	adminConnect = 500 * time.Millisecond
	adminRequest = 700 * time.Millisecond
	adminCall    = 3 * time.Second
	adminChange  = 15 * time.Second // creating and deleting topics
)

// NewAdmin returns an administrator. Every call asks the cluster anew. A call returns within a few seconds, with an
// error if no broker that could answer did.
func NewAdmin(bootstrap []string, security client.Security) (client.Admin, error) {
	opts, err := reach(bootstrap, security)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	cl, err := kgo.NewClient(append(opts,
		kgo.DialTimeout(adminConnect),
		kgo.RequestTimeoutOverhead(adminRequest),
		kgo.RetryTimeout(adminCall),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }),
		kgo.MetadataMinAge(10*time.Millisecond),
	)...)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	adm := kadm.NewClient(cl)
	adm.SetTimeoutMillis(int32(adminChange.Milliseconds()))
	return &admin{cl: cl, adm: adm}, nil
}

type admin struct {
	cl  *kgo.Client
	adm *kadm.Client
}

func (a *admin) Close() error {
	a.cl.Close()
	return nil
}

// limited bounds a call.
func limited(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d)
}

func (a *admin) CreateTopic(ctx context.Context, t client.Topic) error {
	ctx, cancel := limited(ctx, adminChange)
	defer cancel()
	config := make(map[string]*string, len(t.Config))
	for name, value := range t.Config {
		config[name] = &value
	}
	answer, err := a.adm.CreateTopic(ctx, int32(t.Partitions), int16(t.Replication), config, t.Name)
	if err != nil {
		if answer.ErrMessage != "" {
			err = fmt.Errorf("%w (%s)", err, answer.ErrMessage)
		}
		return fmt.Errorf("create topic %s: %w", t.Name, err)
	}
	return nil
}

func (a *admin) DeleteTopic(ctx context.Context, name string) error {
	ctx, cancel := limited(ctx, adminChange)
	defer cancel()
	if _, err := a.adm.DeleteTopic(ctx, name); err != nil {
		return fmt.Errorf("delete topic %s: %w", name, err)
	}
	return nil
}

func (a *admin) Partitions(ctx context.Context, topic string) ([]client.PartitionState, error) {
	ctx, cancel := limited(ctx, adminCall)
	defer cancel()
	ask := kmsg.NewMetadataRequestTopic()
	ask.Topic = &topic
	answer, err := a.metadata(ctx, ask)
	if err != nil {
		return nil, fmt.Errorf("partitions of %s: %w", topic, err)
	}
	var states []client.PartitionState
	for _, t := range answer.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return nil, fmt.Errorf("partitions of %s: %w", topic, err)
		}
		for _, p := range t.Partitions { // LEADER_NOT_AVAILABLE is an answer, and no error: the partition is offline
			states = append(states, client.PartitionState{Partition: client.Partition{Topic: topic, Partition: p.Partition},
				Leader: p.Leader, Epoch: p.LeaderEpoch, ISR: p.ISR, Replicas: p.Replicas})
		}
	}
	if len(states) == 0 {
		return nil, fmt.Errorf("partitions of %s: none told", topic)
	}
	slices.SortFunc(states, func(a, b client.PartitionState) int { return cmp.Compare(a.Partition.Partition, b.Partition.Partition) })
	return states, nil
}

// metadata asks a broker, and not the library's cache; no topics: for brokers and controller alone.
func (a *admin) metadata(ctx context.Context, topics ...kmsg.MetadataRequestTopic) (*kmsg.MetadataResponse, error) {
	ask := kmsg.NewPtrMetadataRequest()
	ask.Topics = append([]kmsg.MetadataRequestTopic{}, topics...)
	return ask.RequestWith(ctx, a.cl)
}

func (a *admin) Brokers(ctx context.Context) (map[int32]string, error) {
	ctx, cancel := limited(ctx, adminCall)
	defer cancel()
	answer, err := a.metadata(ctx)
	if err != nil {
		return nil, fmt.Errorf("brokers: %w", err)
	}
	brokers := make(map[int32]string, len(answer.Brokers))
	for _, b := range answer.Brokers {
		brokers[b.NodeID] = net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
	}
	return brokers, nil
}

// Controller asks the metadata quorum who leads it. Clusters without one (ZooKeeper mode) name it in their metadata.
func (a *admin) Controller(ctx context.Context) (int32, error) {
	ctx, cancel := limited(ctx, adminCall)
	defer cancel()
	quorum, err := a.knows(ctx, kmsg.DescribeQuorum)
	if err != nil {
		return -1, fmt.Errorf("controller: %w", err)
	}
	if quorum {
		return a.quorumLeader(ctx)
	}
	answer, err := a.metadata(ctx)
	if err != nil {
		return -1, fmt.Errorf("controller: %w", err)
	}
	if answer.ControllerID < 0 {
		return -1, fmt.Errorf("controller: none is active")
	}
	return answer.ControllerID, nil
}

// knows tells whether the brokers understand a request.
func (a *admin) knows(ctx context.Context, key kmsg.Key) (bool, error) {
	answer, err := kmsg.NewPtrApiVersionsRequest().RequestWith(ctx, a.cl)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(answer.ApiKeys, func(k kmsg.ApiVersionsResponseApiKey) bool { return k.ApiKey == int16(key) }), nil
}

func (a *admin) quorumLeader(ctx context.Context) (int32, error) {
	ask := kmsg.NewPtrDescribeQuorumRequest()
	topic := kmsg.NewDescribeQuorumRequestTopic()
	topic.Topic = "__cluster_metadata"
	topic.Partitions = append(topic.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
	ask.Topics = append(ask.Topics, topic)
	answer, err := ask.RequestWith(ctx, a.cl)
	if err != nil {
		return -1, fmt.Errorf("controller: %w", err)
	}
	if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
		return -1, fmt.Errorf("controller: %w", err)
	}
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return -1, fmt.Errorf("controller: %w", err)
			}
			if p.LeaderID >= 0 {
				return p.LeaderID, nil
			}
		}
	}
	return -1, fmt.Errorf("controller: the quorum has no leader")
}

func (a *admin) Coordinator(ctx context.Context, kind client.CoordinatorKind, key string) (int32, error) {
	ctx, cancel := limited(ctx, adminCall)
	defer cancel()
	find := a.adm.FindGroupCoordinators
	if kind == client.TransactionCoordinator {
		find = a.adm.FindTxnCoordinators
	}
	for {
		answer, told := find(ctx, key)[key]
		err := answer.Err
		if !told {
			err = kerr.CoordinatorNotAvailable
		}
		if err == nil {
			return answer.NodeID, nil
		}
		// The coordinators' own topic is made when the first is asked for.
		if !among(err, kerr.CoordinatorNotAvailable) || ctx.Err() != nil {
			return -1, fmt.Errorf("coordinator of %s: %w", key, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (a *admin) TopicConfig(ctx context.Context, topic string) (map[string]string, error) {
	ctx, cancel := limited(ctx, adminCall)
	defer cancel()
	answer, err := a.adm.DescribeTopicConfigs(ctx, topic)
	return effective("topic "+topic, answer, err)
}

func (a *admin) BrokerConfig(ctx context.Context, broker int32) (map[string]string, error) {
	ctx, cancel := limited(ctx, adminCall)
	defer cancel()
	answer, err := a.adm.DescribeBrokerConfigs(ctx, broker)
	return effective(fmt.Sprintf("broker %d", broker), answer, err)
}

// effective are the values in force; those that the cluster keeps to itself (passwords) are left out.
func effective(of string, answer kadm.ResourceConfigs, err error) (map[string]string, error) {
	if err != nil {
		return nil, fmt.Errorf("configuration of %s: %w", of, err)
	}
	values := make(map[string]string)
	for _, resource := range answer {
		if resource.Err != nil {
			return nil, fmt.Errorf("configuration of %s: %w", of, resource.Err)
		}
		for _, c := range resource.Configs {
			if c.Value != nil && !c.Sensitive {
				values[c.Key] = *c.Value
			}
		}
	}
	return values, nil
}

func (a *admin) EndOffsets(ctx context.Context, topic string, isolation client.Isolation) (map[int32]int64, error) {
	if isolation == client.ReadCommitted {
		return a.list(ctx, "last stable offsets", topic, a.adm.ListCommittedOffsets)
	}
	return a.list(ctx, "end offsets", topic, a.adm.ListEndOffsets)
}

func (a *admin) StartOffsets(ctx context.Context, topic string) (map[int32]int64, error) {
	return a.list(ctx, "start offsets", topic, a.adm.ListStartOffsets)
}

func (a *admin) list(ctx context.Context, what, topic string, ask func(context.Context, ...string) (kadm.ListedOffsets, error)) (map[int32]int64, error) {
	ctx, cancel := limited(ctx, adminCall)
	defer cancel()
	answer, err := ask(ctx, topic)
	if err == nil {
		err = answer.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("%s of %s: %w", what, topic, err)
	}
	offsets := make(map[int32]int64)
	answer.Each(func(o kadm.ListedOffset) { offsets[o.Partition] = o.Offset })
	if len(offsets) == 0 {
		return nil, fmt.Errorf("%s of %s: no partition answered", what, topic)
	}
	return offsets, nil
}

// CommittedOffsets are stable ones: while a transaction is open that carries a later offset of one of them, it is
// waited for. A partition's first offset is not there before its transaction is committed.
func (a *admin) CommittedOffsets(ctx context.Context, group string) ([]client.PartitionOffset, error) {
	ctx, cancel := limited(ctx, adminCall)
	defer cancel()
	offsets, err := stableOffsets(ctx, a.cl, group, nil)
	if err != nil {
		return nil, fmt.Errorf("committed offsets of group %s: %w", group, err)
	}
	return offsets, nil
}

// Group asks for a group of either protocol.
func (a *admin) Group(ctx context.Context, group string) (client.GroupState, error) {
	ctx, cancel := limited(ctx, adminCall)
	defer cancel()
	answer, err := a.adm.DescribeGroups(ctx, group)
	if err == nil {
		err = answer[group].Err
	}
	if err != nil && !among(err, kerr.GroupIDNotFound) {
		return client.GroupState{}, fmt.Errorf("group %s: %w", group, err)
	}
	classic := answer[group]
	if len(classic.Members) > 0 {
		return classicGroup(classic), nil
	}
	// No member is also what brokers show of a group of the newer protocol (KIP-848) that is asked for this way.
	modern, modernErr := a.adm.DescribeConsumerGroups(ctx, group)
	if found, ok := modern[group]; modernErr == nil && ok && found.Err == nil {
		return modernGroup(found), nil
	}
	if err != nil || classic.State == "" {
		return client.GroupState{State: "Dead"}, nil
	}
	return classicGroup(classic), nil
}

func classicGroup(g kadm.DescribedGroup) client.GroupState {
	state := client.GroupState{State: g.State}
	for _, m := range g.Members {
		member := client.GroupMember{ID: m.MemberID, ClientID: m.ClientID}
		if assigned, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range assigned.Topics {
				for _, p := range t.Partitions {
					member.Assigned = append(member.Assigned, client.Partition{Topic: t.Topic, Partition: p})
				}
			}
		}
		state.Members = append(state.Members, member)
	}
	return state
}

func modernGroup(g kadm.DescribedConsumerGroup) client.GroupState {
	state := client.GroupState{State: g.State}
	for _, m := range g.Members {
		member := client.GroupMember{ID: m.MemberID, ClientID: m.ClientID}
		m.Assignment.Each(func(topic string, p int32) {
			member.Assigned = append(member.Assigned, client.Partition{Topic: topic, Partition: p})
		})
		state.Members = append(state.Members, member)
	}
	return state
}
