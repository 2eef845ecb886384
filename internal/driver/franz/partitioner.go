package franz

import "github.com/twmb/franz-go/pkg/kgo"

// partitioner puts a record where it asks to be, and otherwise where Kafka's default does: by the murmur2 hash of its
// key, or without one in stretches of batch.size (KIP-794).
type partitioner struct{ otherwise kgo.Partitioner }

func (p partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	otherwise := p.otherwise.ForTopic(topic)
	return topicPartitioner{otherwise, otherwise.(kgo.TopicBackupPartitioner)}
}

type topicPartitioner struct {
	otherwise kgo.TopicPartitioner
	backup    kgo.TopicBackupPartitioner // the same
}

func (p topicPartitioner) RequiresConsistency(r *kgo.Record) bool {
	return r.Partition >= 0 || p.otherwise.RequiresConsistency(r)
}

func (p topicPartitioner) Partition(r *kgo.Record, n int) int {
	if r.Partition >= 0 {
		return int(r.Partition)
	}
	return p.otherwise.Partition(r, n)
}

func (p topicPartitioner) PartitionByBackup(r *kgo.Record, n int, backup kgo.TopicBackupIter) int {
	if r.Partition >= 0 {
		return int(r.Partition)
	}
	return p.backup.PartitionByBackup(r, n, backup)
}
