namespace Dashboard.Client.State;

/// <summary>Definitions of the terms that pages use, each in one or two sentences; keys are lower case.</summary>
public static class Glossary
{
    private static readonly Dictionary<string, string> Definitions = new(StringComparer.OrdinalIgnoreCase)
    {
        ["concept"] = "A direction in the layer's activation space that a group of images shares: something the network can see, such as a texture, a part or a colour.",
        ["concept image"] = "A picture made by the computer so that the network sees as much of the concept in it as possible. It starts as noise and is changed in small steps; no photograph goes into it.",
        ["importance"] = "Share of the class's score (logit) that the concept accounts for, averaged over the images of the class. Negative: it speaks against the class.",
        ["spread"] = "Standard deviation of the importance over the images of the class: how much it differs from image to image.",
        ["prevalence"] = "How strongly the concept is present in the images of the class on average (mean coefficient).",
        ["reliability"] = "How much the class's score rises when the concept grows by one unit. Near zero: present, but not used. Negative: it lowers the score.",
        ["active share"] = "Share of the class's images in which the concept is present at all.",
        ["relevance"] = "How far the network's output moves along this direction, in standard deviations above other directions (z score). Higher means more specific to the class.",
        ["stability"] = "How closely the same concept is found again on another half of the images: 1 is identical, below 0.7 it should be read with care.",
        ["strategy"] = "A group of images that the network recognises by the same mixture of concepts.",
        ["borderline"] = "An image whose mixture of concepts lies almost as close to another strategy as to its own.",
        ["prototype"] = "The image nearest to the middle of its strategy: the most typical one.",
        ["strategic cluster graph"] = "Every point is an image of the class. Images that the network recognises by the same concepts lie close together; distances across large gaps mean little.",
        ["outlier score"] = "How unusual the image is, from 0 (ordinary) to 1 (most unusual), combined from several detectors at several depths of the network.",
        ["detector"] = "One way to look for unusual images, such as distance to neighbours at a layer, or the probability of the label. Scores run from 0 (ordinary) to 1.",
        ["exemplar"] = "An image, or a part of one, that shows the concept.",
        ["concept map"] = "Where in the image the concept is found. Bright areas drive it.",
        ["attribution map"] = "How much each pixel moves the concept: the derivative of the concept's coefficient on this image with respect to the pixels, added up over the colours.",
        ["layer"] = "The place in the network whose activations are analysed. Early layers hold edges and textures, late layers hold parts and objects.",
        ["accuracy"] = "Share of images whose predicted class is their label. Higher is better.",
        ["confidence"] = "Probability that the network gives to its predicted class.",
        ["logit"] = "The score the network gives a class before scores are turned into probabilities.",
        ["contribution"] = "Part of the logit that comes from one concept. The contributions, what no concept explains, and the bias add up to the logit.",
        ["runner-up"] = "The class with the second-highest score.",
        ["unexplained"] = "Part of the score that none of the class's concepts accounts for.",
        ["not explained by a concept"] = "Part of the score that none of the class's concepts accounts for.",
        ["bias"] = "The constant that the network adds to this class's score whatever the image shows.",
        ["shared concept"] = "Concepts of different classes that point in nearly the same direction: the network uses the same thing for several classes.",
        ["relative error"] = "How much of an activation its concepts leave out: length of the rest over the length of the whole. 0 is perfect. Lower is better.",
        ["variance explained"] = "Share of the differences between images that the concepts account for (R²). 100% is perfect. Higher is better.",
        ["sparsity"] = "How few concepts are at work at a time (Hoyer): 1 is a single concept, 0 all of them equally. Higher is easier to read.",
        ["fold stability"] = "Cosine between the concepts found on different parts of the images: 1 is identical, 0.9 and more counts as stable. Higher is better.",
        ["fréchet distance"] = "Distance between the distribution of activations and that of what the concepts rebuild. 0 is perfect. Lower is better.",
        ["ood score"] = "How far what the concepts rebuild lies from real activations, relative to the distance among real ones. 1 is best; further from it, it is less natural.",
        ["c-deletion"] = "The score while concepts are removed, the most important first. The faster it falls, the better the order. Lower area is better.",
        ["c-insertion"] = "The score while concepts are added, the most important first. The faster it rises, the better the order. Higher area is better.",
        ["c-µfidelity"] = "Correlation between the importance of random groups of concepts and what the score loses without them: 1 is perfect. Higher is better.",
        ["oracle"] = "The best order that can be had by trying: the upper end of the scale.",
        ["probe"] = "A linear reading of a concept from the activations of a layer, fitted to some of the images and tested on others. Where it works, the layer holds the concept in a form that the network can use.",
        ["held-out split"] = "Three in ten images of each side are kept for testing; exact copies of an image are on one side.",
        ["balanced accuracy"] = "Mean of the shares of right answers among the images that show the concept and among those that do not: 50% is chance, however rare the concept is. Higher is better.",
        ["shuffled control"] = "The same probe fitted to labels dealt out at random: what is reached without any concept.",
        ["probe agreement"] = "Cosine between the directions that probes find on different divisions of the images: near 1 there is one direction, near 0 many serve as well.",
        ["tcav"] = "Share of a class's images whose score rises when the activation moves along the concept's direction. 50% is no influence; compared with probes of shuffled labels.",
        ["cosine"] = "Similarity of two directions: 1 is the same, 0 is unrelated, −1 is opposite.",
        ["alignment"] = "Cosine between the concept and a class's weights in the network's last step: which classes this concept speaks for.",
        ["proximity"] = "Concepts drawn near each other point in similar directions; the size of a dot is its importance.",
        ["neuron alignment"] = "The single channel most similar to the concept. A cosine near 1 means one neuron carries it; a low one that many do.",
        ["participation ratio"] = "Number of channels that carry the concept: 1 is a single neuron.",
        ["trustworthiness"] = "How far neighbours on the drawing are neighbours in truth: 1 is perfect.",
        ["confusion"] = "What images of this class are mistaken for, with the number of images.",
        ["confounded"] = "Something off the object, such as a mark or a border, drives the decision: a likely shortcut.",
        ["label"] = "A formula of things that are known about the images which the concept follows most closely. Found on one half of the images, tested on the other.",
        ["formula length"] = "How many known concepts a label may join by AND, OR and NOT. Longer ones fit better, and chance fits better too: compare the tested AUC.",
        ["held-out auc"] = "How well the activation tells images that fulfil the label from those that do not, on the half of the images that the search did not see: 0.5 is chance, 1 is perfect.",
        ["corrected p"] = "How likely so high an AUC is by chance, corrected for the number of units that were tested (Holm). Below 0.05 counts as significant.",
        ["artefact"] = "Something a network should have no use for, such as a watermark or the brightness. Units that follow it are flagged.",
        ["circuit contribution"] = "What the neuron adds to the class's score in its own images over other images: its weight times the difference of its mean activations.",
        ["probe"] = "A linear read-out that was trained to tell from the layer's activations whether an image shows the concept.",
        ["concept backpropagation"] = "The smallest change of an image that makes a concept's probe change its answer. It shows what in the image the network reads the concept from.",
        ["entanglement"] = "What else moves: how far other concepts' probes move when an image is changed for one concept, as a share of its own change. From 0.5 on in most images, two concepts count as entangled.",
        ["shuffled labels"] = "Control: probes trained on the same number of images picked at random. What they reach says how easily any answer can be moved.",
        ["direction"] = "The singular direction of the layer's activations that the concept came from.",
    };

    /// <summary>All terms with definitions.</summary>
    public static IReadOnlyDictionary<string, string> All => Definitions;

    /// <summary>The definition of a term; null where there is none.</summary>
    public static string? Define(string term) => Definitions.GetValueOrDefault(term);
}
